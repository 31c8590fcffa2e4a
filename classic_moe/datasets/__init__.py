"""Data to learn and test with: measured classics, and simulated sets with a known truth."""

from ._card_default import make_card_default
from ._daily_returns import make_daily_returns
from ._hme import make_hme
from ._insurance import load_insurance
from ._jittered_digits import make_jittered_digits
from ._make import make_crossing_lines, make_piecewise_regression
from ._motorcycle import load_motorcycle
from ._robot_arm import make_robot_arm
from ._six_speakers import make_six_speakers
from ._softmax_bottleneck import make_softmax_bottleneck
from ._switching import make_switching_series
from ._tone import load_tone
from ._voronoi import make_voronoi_pieces
from ._vowels import load_peterson_barney, make_vowels

__all__ = [
    "load_insurance",
    "load_motorcycle",
    "load_peterson_barney",
    "load_tone",
    "make_card_default",
    "make_crossing_lines",
    "make_daily_returns",
    "make_hme",
    "make_jittered_digits",
    "make_piecewise_regression",
    "make_robot_arm",
    "make_six_speakers",
    "make_softmax_bottleneck",
    "make_switching_series",
    "make_voronoi_pieces",
    "make_vowels",
]
