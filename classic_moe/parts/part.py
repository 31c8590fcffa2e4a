"""What experts and gates have in common."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from types import MappingProxyType

from sklearn.base import BaseEstimator, clone

from .checks import check_penalties
from .params import Params, take
from .penalties import AUTO, PENALTIES, WEAK
from .records import Inputs, Learning
from .statistics import Statistics


class Part(BaseEstimator, ABC):
    """A part of a mixture: hyper-parameters on the object, fitted values in `Params`."""

    learning = Learning()
    """How it learns."""
    inputs = Inputs()
    """Which columns of X it is handed, and how."""
    n_experts = None
    """The number of experts, where the hyper-parameters fix it (a list of experts, a tree)."""
    kernel = None
    """The part's formulas as a compiled pass knows them, a `Kernel`; None: the generic pass."""

    weak: Mapping = MappingProxyType({})
    """The numbers that "weak" stands for, by penalty: `alpha`, `variance_prior`."""
    automatic: tuple = ()
    """The penalties that may be "auto": found by the evidence."""

    @property
    def _alpha(self) -> float:
        """The penalty of the slopes; the weak number where no fit has found one, a float."""
        return float(self.weak["alpha"] if isinstance(self.alpha, str) else self.alpha)

    def words(self) -> dict:
        """Return the penalties that are words in place of numbers, by name."""
        given = {name: getattr(self, name, 0.0) for name in PENALTIES}
        return {name: value for name, value in given.items() if isinstance(value, str)}

    def with_numbers(self, numbers: dict) -> Part:
        """Return the part with numbers for words.

        "auto" is in `numbers`, by penalty; where it is not, it was not to be found, and is weak.
        """
        each = {WEAK: self.weak, AUTO: {**self.weak, **numbers}}
        found = {name: each[word][name] for name, word in self.words().items()}
        return clone(self).set_params(**found) if found else self

    def renumbered(self, ids) -> Part:
        """Return the part whose experts come in another order, `ids` (K,)."""
        return self

    def log_prior_mass(self, params: Params) -> float:
        """Return what makes `log_prior`, but for the penalties of predictors, a density.

        In units in which a standard normal is 1 at its mean; what is no density is taken out.
        """
        return 0.0

    def check_parameters(self):
        """Raise a ValueError or TypeError for hyper-parameters that no fit could use."""
        check_penalties(self)

    def take(self, params: Params, ids) -> Params:
        """Return the params of some of the experts, or of all in another order.

        `ids` (m,) are numbers of experts. A leaf that the experts share, with leading axis 1, stays
        as it is.
        """
        return take(params, ids)

    def carry(self, params: Params, stats: Statistics, factor) -> Statistics:
        """Return the statistics so far as those of the parameters they led to, times `factor`.

        For on-line training. Sums that do not depend on the parameters are carried on, which is all
        that happens here. A gradient has been used up by the step to `params`: a part that has one
        among its statistics overrides this, by `carried`.
        """
        return factor * stats

    def diagnose(self, params: Params, stats: Statistics) -> list:
        """Return what is wrong with a fit, a list of `Finding`; empty for a healthy one."""
        return []

    def log_prior(self, params: Params) -> float:
        """Return the log prior density of the params up to a constant; 0 without penalties."""
        return 0.0

    def coordinates(self, params: Params) -> dict:
        """Return the kinds of the leaves of params that are not any number: see `coordinates`."""
        return {}


def carried(stats: Statistics, factor, held: dict) -> Statistics:
    """Return statistics times `factor`, those named in `held` first put in place of their own.

    `held` has the gradients as they are at a maximum, by name: 0 without a prior, and with one its
    slope, as of `Ridge.slope`, which holds them.
    """
    return Statistics({name: factor * held.get(name, own) for name, own in stats.items()})


def offers(part: Part, verb: str) -> bool:
    """Return whether a part has an optional verb of the protocol, such as "gradient" or "rows".

    A verb that a part lacks is not there: no attribute, None, or one that `available_if` hides.
    """
    return getattr(part, verb, None) is not None
