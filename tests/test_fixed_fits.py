"""The script that says whether fixed fits kept their bits notices when one did not."""

import fixed_fits
import numpy as np


def test_there_are_twenty_fits_and_a_changed_bit_is_noticed():
    assert len(fixed_fits.fits()) == 20
    before = fixed_fits.record(only={"linear", "poisson"})
    after = {key: value.copy() for key, value in before.items()}
    assert fixed_fits.compare(before, after)[1]
    after["linear/expert.coef"][0] = np.nextafter(after["linear/expert.coef"][0], np.inf)
    lines, same = fixed_fits.compare(before, after)
    assert not same and "difference" in lines[0] and "the same bits" in lines[1]
