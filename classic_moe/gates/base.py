"""The protocol of a gate: the distribution of the expert index given x."""

from __future__ import annotations

from abc import abstractmethod

from ..parts.params import Params
from ..parts.part import Part
from ..parts.statistics import Statistics


class OneByOne:
    """The verbs of several gates of one kind on the same rows, as at the nodes of a tree.

    A gate that answers for several at once quicker has a subclass of this under `_several`.
    """

    def __init__(self, gate):
        self.gate = gate

    def log_prob(self, each, X) -> list:
        """Return `log_prob` of every gate, (n, children) each."""
        return [self.gate.log_prob(params, X) for params in each]

    def statistics(self, each, X, resps, order=2) -> list:
        """Return `statistics` of every gate, each with its own resp."""
        pairs = zip(each, resps, strict=True)
        return [self.gate.statistics(params, X, resp, order) for params, resp in pairs]

    def maximize(self, each, stats, cautious=False) -> list:
        """Return `maximize` of every gate."""
        pairs = zip(each, stats, strict=True)
        return [self.gate.maximize(params, own, cautious) for params, own in pairs]


class BaseGate(Part):
    """The distribution g_k(x) of the expert index given x.

    The verbs are those of `BaseExpert`, without y. `resp` (n, K), the responsibilities with the
    sample weights multiplied in, are the gate's soft targets: by definition they are the
    derivative of the objective in log g. A new gate passes `classic_moe.testing.check_gate`.

    `init`, `log_prob`, `statistics`, `maximize` and `view` are required. Optional verbs, which a
    gate has or has not:

    - ``gradient(params, stats)``, the derivative of Σ resp·log g + log_prior, nested like params;
    - ``predictors(params)`` and ``rows(params, X, derivatives=2)``: see
      `classic_moe.parts.predictors`;
    - ``log_joint(params, X)``, log a_k p_k(x) (n, K), of a gate that models x,
      g_k(x) ∝ a_k p_k(x). That joins the objective: the fit climbs log p(x, y), and `maximize` is
      the M-step of Σ resp·log a_k p_k(x). A column of X that is constant has no density; leave it
      out;
    - ``route(params, X)``, of a gate with `n_kept`: the kept experts (n, k), the best first, and
      log g of each (n, k); `log_prob` is the same, spread out, and -inf elsewhere.
    """

    per_output = False
    """Whether it is a gate for each output, and `log_prob` and `resp` are (n, K, q)."""
    n_kept = None
    """How many experts it keeps of every row, where it does not keep all of them."""
    _several = OneByOne

    @abstractmethod
    def init(self, X, resp, random_state) -> Params:
        """Return starting values from soft assignments of the rows."""

    @abstractmethod
    def log_prob(self, params: Params, X):
        """Return log g_k(x), (n, K); rows logsumexp to 0, -inf means not routed."""

    @abstractmethod
    def statistics(self, params: Params, X, resp, order=2) -> Statistics:
        """Return the sums over rows from which `maximize` works."""

    @abstractmethod
    def maximize(self, params: Params, stats: Statistics, cautious=False) -> Params:
        """Return one ascent step on Σ resp·log g + log_prior; `cautious=True`: the certain one."""

    @abstractmethod
    def view(self, params: Params, units, **features):
        """Return the gate as the user sees it: `coef_` (K, p), `intercept_` (K,)."""

    def to_caller(self, params: Params, units) -> dict:
        """Return the parameters in the caller's units under the names of the view.

        By default as they are, for numbers that mean the same in all units.
        """
        return dict(params)

    def from_caller(self, values: dict, units, n_experts) -> Params:
        """Return the params of which `to_caller` gives `values`; ValueError for wrong ones."""
        return dict(values)

    def check_input(self, X):
        """Raise a ValueError for values in the gate's columns, of all rows, that it cannot take."""

    def tree_shape(self, n_experts):
        """Return the tree of the experts as nested tuples, leaves None: here without levels."""
        return (None,) * n_experts

    def dense(self) -> BaseGate:
        """Return the gate that keeps all experts, of the same params: itself, but with `n_kept`."""
        return self

    def log_route(self, params: Params, X):
        """Return `log_prob` as routing uses it, (n, K): a gate may leave out what is improbable."""
        return self.log_prob(params, X)

    def n_parameters(self, params: Params) -> int:
        """Return the number of free parameters."""
        return 0
