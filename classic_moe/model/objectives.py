"""What is climbed: the objectives, as functions of the gate and of densities or means.

The first three are the error functions of Jacobs, Jordan, Nowlan and Hinton (1991), with the sign
that makes them objectives. A call returns, row by row, the value (n,), its derivative in log g_k,
and what the experts learn by. For the likelihoods both are the responsibilities. For the errors the
derivative is taken through the normalisation, Σ_k g_k = 1: it sums to 0, and may be negative.

References
----------
Jacobs, R. A., Jordan, M. I., Nowlan, S. J. & Hinton, G. E. (1991). Adaptive mixtures of local
experts. Neural Computation 3, 79-87.
"""

from __future__ import annotations

import numpy as np

from .._kernels import array
from ..parts import kept


class MixtureLikelihood:
    """log p(y|x) = log Σ_k g_k(x) p_k(y|x), the likelihood of the mixture: competition.

    Equation 1.3 of Jacobs et al. (1991), for any density. The derivative in log g_k and the weight
    of a row for expert k are both its responsibility, g_k p_k / Σ_j g_j p_j, (n, K).
    """

    likelihood = True
    """Whether it is one, so that EM climbs it; an error function needs a gradient."""
    blends = False
    """Whether it is called with the experts' means and y in place of their densities."""
    learns_all = True
    """Whether all experts that the gate keeps learn from a row."""

    def __call__(self, log_gate, log_density):
        value, resp = array.mixture_posterior(log_gate, log_density)
        return value, resp, resp


class ClassificationLikelihood(MixtureLikelihood):
    """max_k log g_k(x) p_k(y|x): every row belongs to one expert alone.

    The responsibilities are 1 for the most probable expert and 0 for the others. Celeux, G. &
    Govaert, G. (1992). A classification EM algorithm for clustering and two stochastic versions.
    Computational Statistics & Data Analysis 14, 315-332.
    """

    def __call__(self, log_gate, log_density):
        value, resp = array.mixture_posterior(log_gate, log_density)
        best = array.harden(resp)
        return value + array.log_share(best, resp), best, best


class TruncatedLikelihood(MixtureLikelihood):
    """log Σ g_k(x) p_k(y|x) over the `k` experts of a row for which that is largest.

    With h the responsibilities among those it is Σ h log(g p / h), a lower bound of the mixture
    likelihood: the best one with h = 0 elsewhere. Lücke, J. & Eggert, J. (2010). Expectation
    truncation and the benefits of preselection in training generative models. Journal of Machine
    Learning Research 11, 2855-2900.

    Parameters
    ----------
    k : int
    """

    learns_all = False

    def __init__(self, k):
        self.k = k

    def __call__(self, log_gate, log_density):
        joint = log_gate + log_density
        if self.k >= joint.shape[1]:
            return super().__call__(log_gate, log_density)
        experts = kept.best(joint, self.k)
        value, of_kept = array.mixture_posterior(*_at(experts, log_gate, log_density))
        resp = np.zeros(joint.shape)
        np.put_along_axis(resp, experts, of_kept, axis=1)
        return value, resp, resp


def _at(experts, *each):
    """Return the columns `experts` (n, k) of some arrays (n, K), a list."""
    return [np.take_along_axis(values, experts, axis=1) for values in each]


class ExpectedError:
    """Σ_k g_k(x) log p_k(y|x): what an expert drawn by the gate is expected to achieve.

    Equation 1.2 of Jacobs et al. (1991), for any density: with unit variances it is
    -½ Σ g_k |y - μ_k|² but for a constant. Every expert learns from a row as far as the gate gives
    it the row, however well or badly it does: its weight is g_k. It is at most the mixture
    likelihood (Jensen), and equals it where one expert has the whole row.
    """

    likelihood = False
    blends = False
    learns_all = True

    def __call__(self, log_gate, log_density):
        xp = array.namespace(log_gate)
        gate = xp.exp(log_gate)
        share = gate * xp.where(gate > 0, log_density, xp.zeros_like(gate))
        value = xp.sum(share, axis=1)
        return value, share - gate * value[:, None], gate


class BlendedError:
    """-½ |y - Σ_k g_k(x) μ_k(x)|²: the experts make up one output together, and cooperate.

    Equation 1.1 of Jacobs et al. (1991); the error of Hampshire & Waibel's (1992) Meta-Pi network.
    It takes the experts' means (n, K, q) and y (n, q), for classes one-hot; and gates with a column
    for every output, (n, K, q), too. What the experts learn by is the derivative in their means,
    g_k (y - f), (n, K, q): an expert's step depends on what the others do.

    Parameters
    ----------
    unit : ndarray of shape (q,), default=1.0
        The unit of every output in which its error is measured: without it, an output of large
        numbers would count for all, and one of small numbers for less than the gate's penalty.
    """

    likelihood = False
    blends = True

    def __init__(self, unit=1.0):
        self.unit = unit

    def in_units(self, unit):
        """This error with each output measured in units of its own."""
        return type(self)(unit)

    def __call__(self, log_gate, mean, y):
        xp = array.namespace(log_gate)
        gate = xp.exp(log_gate)
        share = gate if gate.ndim == 3 else gate[:, :, None]
        with np.errstate(over="ignore", invalid="ignore"):  # a step too far: the solver goes back
            blend = xp.sum(share * mean, axis=1)
            error = (y - blend) / self.unit
            slope = share * (error / self.unit)[:, None, :]
            in_log_gate = slope * (mean - blend[:, None, :])
            in_log_gate = in_log_gate if gate.ndim == 3 else xp.sum(in_log_gate, axis=2)
            return -0.5 * xp.sum(error**2, axis=1), in_log_gate, slope


NAMED = {
    "likelihood": MixtureLikelihood,
    "expected_error": ExpectedError,
    "blended_error": BlendedError,
}
"""The objectives that an estimator may name."""
