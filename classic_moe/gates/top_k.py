"""Any gate with the k most probable experts of a row kept."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from .._kernels import array
from ..parts import kept
from ..parts.part import offers
from ..parts.registry import coerce, find, refusal
from .base import BaseGate


def _climbs(gate):
    """Return whether a gate has a gradient, and does not model x, a bool."""
    return offers(gate, "gradient") and not offers(gate, "log_joint")


class TopKGate(BaseGate):
    r"""Any gate, of which the k most probable experts of a row are kept: a sparse mixture.

    .. math:: \tilde g_i(x) = \frac{g_i(x)}{\sum_{j \in S(x)} g_j(x)}, \; i \in S(x), \qquad
       S(x) = \text{the } k \text{ largest } g_i(x)

    S(x) depends on x alone, so p(y|x) = Σ_{i in S(x)} g̃_i(x) p_i(y|x) is a density as any other:
    likelihood, AIC and BIC, responsibilities and predictive distributions keep their meaning, and
    all of them are of this density. Of equals the expert of lower number is kept. With k of at
    least the number of experts the gate is the one that it wraps.

    **How it is fitted.** The kept set jumps when probabilities cross, and an expert that is not
    kept learns nothing and stays away; so EM on the sparse density itself starves experts. The fit
    is that of the dense mixture, by whatever solver, and then a tuning for k: steps of EM on the
    sparse density, each taken only if the penalised sparse objective does not fall, with the set
    found anew at its end. `lower_bounds_` and `n_iter_` are those of the tuning; `converged_` says
    so of the dense fit, and penalties that are found by the evidence are those of the dense fit.
    With k = 1 the weight of the kept expert is 1 whatever the gate says, so the tuning leaves the
    gate as it is; so it does a gate that models x.

    Parameters
    ----------
    gate : str, BaseGate or scikit-learn classifier, default="softmax"
        The gate of all experts. `SoftmaxGate` and `TreeGate` also have a parameter `top_k`, which
        means the same. Not a gate for each output.
    k : int, default=2
        Experts to keep.

    References
    ----------
    Shazeer, N. et al. (2017). Outrageously large neural networks: the sparsely-gated
    mixture-of-experts layer. International Conference on Learning Representations.

    Examples
    --------
    >>> from classic_moe import MixtureOfExpertsRegressor
    >>> from classic_moe.datasets import load_motorcycle
    >>> from classic_moe.gates import TopKGate
    >>> X, y = load_motorcycle(return_X_y=True)
    >>> gate = TopKGate("gaussian", k=2)
    >>> model = MixtureOfExpertsRegressor(4, gate=gate, n_init=2, random_state=0).fit(X, y)
    >>> (model.gate_proba(X) > 0).sum(axis=1).max()
    np.int64(2)
    """

    def __init__(self, gate: Any = "softmax", k: int | None = 2) -> None:
        self.gate = gate
        self.k = k

    def _inner(self):
        """Return the gate of all experts, as it is."""
        found = find("gate", self.gate)
        if found is None:
            raise ValueError(refusal("gate", self.gate, " of TopKGate"))
        return found

    def set_params(self, **params):
        """Set parameters; ``gate__alpha=...`` on an alias first replaces it by its object.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self
        """
        if any(name.startswith("gate__") for name in params):
            self.gate = coerce("gate", params.pop("gate", self.gate), owner=" of TopKGate")
        return super().set_params(**params)

    def check_parameters(self):
        gate = self._inner()
        gate.check_parameters()
        kept.check_kept(self.k, "k", "TopKGate")
        if gate.n_kept is not None:
            raise ValueError(
                f"gate={self.gate!r} of TopKGate keeps {gate.n_kept} experts already; use it alone."
            )
        if gate.per_output or getattr(gate, "prune", 0):
            what = "is a gate for each output" if gate.per_output else "leaves branches out itself"
            raise ValueError(f"gate={self.gate!r} of TopKGate {what}; use another gate.")

    def words(self):
        return self._inner().words()

    def with_numbers(self, numbers):
        if not self.words():
            return self
        return clone(self).set_params(gate=self._inner().with_numbers(numbers))

    # -- facts -------------------------------------------------------------------------------

    @property
    def n_kept(self):
        """How many experts it keeps of every row."""
        return self.k

    @property
    def learning(self):
        """Return how it learns: a kept set that moves with the parameters does not climb."""
        return self._inner().learning._replace(ascends=False, extrapolates=False)

    @property
    def inputs(self):
        """Return which columns the gate is handed."""
        return self._inner().inputs

    @property
    def n_experts(self):
        """The number of experts, where the gate fixes it."""
        return self._inner().n_experts

    def tree_shape(self, n_experts):
        return self._inner().tree_shape(n_experts)

    def check_input(self, X):
        self._inner().check_input(X)

    def dense(self):
        return self._inner()

    # -- the model -------------------------------------------------------------------------

    def init(self, X, resp, random_state):
        return self._inner().init(X, resp, random_state)

    def log_prob(self, params, X):
        return kept.keep(self._inner().log_prob(params, X), self.k)

    def route(self, params, X):
        """Return the kept experts (n, k), the best first, and log g of each, (n, k)."""
        return kept.route(self._inner().log_prob(params, X), self.k)

    @available_if(lambda self: offers(self._inner(), "log_joint"))
    def log_joint(self, params, X):
        """Return log g_k(x) + log p(x) of the kept experts, -inf elsewhere, (n, K)."""
        joint = self._inner().log_joint(params, X)
        return kept.keep(array.log_softmax(joint), self.k) + array.logsumexp(joint)[:, None]

    # -- fitting ---------------------------------------------------------------------------

    @property
    def _stands(self):
        """Whether it keeps its parameters: one kept expert tells nothing, and p(x) all the rest."""
        return self.k == 1 or offers(self._inner(), "log_joint")

    def statistics(self, params, X, resp, order=2):
        gate = self._inner()
        if self.k < resp.shape[1]:
            resp = kept.completed(resp, gate.log_prob(params, X), self.k)
        return gate.statistics(params, X, resp, order)

    def maximize(self, params, stats, cautious=False):
        return params if self._stands else self._inner().maximize(params, stats, cautious)

    def carry(self, params, stats, factor):
        return self._inner().carry(params, stats, factor)

    @available_if(lambda self: _climbs(self._inner()))
    def gradient(self, params, stats):
        """Return ∂Q/∂params, the prior included."""
        return self._inner().gradient(params, stats)

    def take(self, params, ids):
        return self._inner().take(params, ids)

    def coordinates(self, params):
        return self._inner().coordinates(params)

    def log_prior(self, params):
        return self._inner().log_prior(params)

    def log_prior_mass(self, params):
        return self._inner().log_prior_mass(params)

    def n_parameters(self, params):
        return self._inner().n_parameters(params)

    def diagnose(self, params, stats):
        return self._inner().diagnose(params, stats)

    # -- the caller's side -------------------------------------------------------------------

    def to_caller(self, params, units):
        return self._inner().to_caller(params, units)

    def from_caller(self, values, units, n_experts):
        return self._inner().from_caller(values, units, n_experts)

    def view(self, params, units, **features):
        return self._inner().view(params, units, **features)
