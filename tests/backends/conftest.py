"""What the tests of other libraries' arrays have in common.

scikit-learn looks for SCIPY_ARRAY_API when it dispatches; that scipy reads it when it is imported
does not matter here, for no function of scipy is handed an array that is not numpy's. The whole
folder passes with the variable set before, too.
"""

import pytest
import sklearn
from elsewhere import NAMES, library_of

from classic_moe._kernels import array


@pytest.fixture(autouse=True)
def dispatch(monkeypatch):
    """Compute where X lies."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with sklearn.config_context(array_api_dispatch=True):
        yield


@pytest.fixture(params=NAMES)
def there(request, monkeypatch):
    """Give a function that brings arrays of numpy to a device, or what stands for one."""
    move = library_of(request.param)
    if request.param == "torch":  # its tensors on a GPU go the same way
        away = array.LIBRARIES["torch"]._replace(on_host=lambda values: False)
        monkeypatch.setitem(array.LIBRARIES, "torch", away)
    return move


@pytest.fixture
def device1():
    """Give a function that brings arrays of numpy to the second device of array_api_strict."""
    return library_of("strict")
