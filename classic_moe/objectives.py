"""What the responsibilities are: the objective as a function of the gate and the densities."""

from __future__ import annotations

from ._kernels import array


class MixtureLikelihood:
    """log p(y|x) = log Σ_k g_k(x) p_k(y|x), the likelihood of the mixture.

    A call returns the value of every row (n,) and its derivative in log g_k, the responsibilities
    (n, K): g_k p_k / Σ_j g_j p_j. Jacobs et al. (1991), equation 1.3.
    """

    def __call__(self, log_gate, log_density):
        return array.mixture_posterior(log_gate, log_density)


class ClassificationLikelihood:
    """max_k log g_k(x) p_k(y|x): every row belongs to one expert alone.

    The responsibilities are 1 for the most probable expert and 0 for the others. Celeux, G. &
    Govaert, G. (1992). A classification EM algorithm for clustering and two stochastic versions.
    Computational Statistics & Data Analysis 14, 315-332.
    """

    def __call__(self, log_gate, log_density):
        value, resp = array.mixture_posterior(log_gate, log_density)
        best = array.harden(resp)
        return value + array.log_share(best, resp), best
