"""The named warnings of a fit; each is given at most once a fit."""

from sklearn.exceptions import ConvergenceWarning


class ExpertCollapseWarning(ConvergenceWarning):
    """An expert rests on too little: no spread to estimate, or fewer rows than coefficients."""


class SeparationWarning(ConvergenceWarning):
    """The data are split perfectly, so some slopes have no finite maximum-likelihood value."""


class ExpertCountWarning(UserWarning):
    """A chosen number of experts is the largest that was tried, or large for the rows."""


class UnseenCategoryWarning(UserWarning):
    """Rows hold levels of a category that the fit has not seen; they get the average effect."""


class VersionWarning(UserWarning):
    """A pickled estimator was written by another version of classic_moe."""
