"""Derivatives of elliptical log-densities, row by row: the normal and Student's t distribution.

With Σ = L Lᵀ, W = L⁻¹, u = W (y - μ) and δ = uᵀu the log-density is

    log p = const - Σ_a log L_aa + g(δ),

g(δ) = -δ/2 for the normal, -½ (ν + q) log(1 + δ/ν) for the t distribution with ν degrees of
freedom. Its coordinates θ are the means μ_j, the entries L_ab with a > b, the logarithms of L_aa,
and maybe one of the shape of g.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._kernels import array


class Profile(NamedTuple):
    """The derivatives of g at the squared distances δ of the rows, each (n, K) or a number.

    Attributes
    ----------
    slope, curvature : g′(δ) and g″(δ)
    shape : tuple of three, or None
        For a coordinate s of the shape: the derivative of log p in s, the second derivative, and
        that of g′(δ) in s.
    """

    slope: object
    curvature: object = 0.0
    shape: tuple | None = None


NORMAL = Profile(slope=-0.5)
"""That of the normal distribution: g(δ) = -δ/2."""


def derivatives(U, factors, cholesky, profile, second=True):
    """Return slope (n, K, m) and minus the second derivatives (n, K, m, m) of log p.

    The coordinates are the q means, the numbers of `cholesky`, and that of the shape, if any.

    Parameters
    ----------
    U : array of shape (n, K, q)
        Whitened residuals u.
    factors : ndarray of shape (K, q, q) or (1, q, q)
        L.
    cholesky : sequence of tuples of (a, b)
        The free entries of L: see `classic_moe.parts.covariance`.
    profile : Profile
    second : bool
        Whether second derivatives are wanted; None is returned if not.

    Notes
    -----
    W = L⁻¹ gives dW = -W dL W, and so, with e_a the unit vectors,

        ∂u/∂μ_j          = -W e_j
        ∂u/∂L_ab         = -W e_a u_b
        ∂²u/∂μ_j ∂L_ab   = W e_a W_bj
        ∂²u/∂L_ab ∂L_cd  = W e_c W_da u_b + W e_a W_bc u_d.

    For log L_aa the first are multiplied by L_aa, and the second has the first on its diagonal.
    """
    geometry = _Geometry(U, factors, [entry for entries in cholesky for entry in entries])
    # δ = uᵀu: ∂δ/∂θ_i = 2 half_slope_i and ∂²δ/∂θ_i∂θ_j = 2 half_curvature_ij
    half_slope = geometry.half_slope()
    half_curvature = geometry.half_curvature(half_slope) if second else None
    log_det_slope = geometry.log_det_slope()
    if any(len(entries) > 1 for entries in cholesky):  # one number at several places: the sums
        sums = array.like(U, _sums(U.shape[2], cholesky))
        half_slope, log_det_slope = half_slope @ sums, log_det_slope @ sums
        half_curvature = sums.T @ half_curvature @ sums if second else None
    return _chain(profile, half_slope, half_curvature, log_det_slope)


def _chain(profile, half_slope, half_curvature, log_det_slope):
    """Return the derivatives of g(δ) - log|L| from half of those of δ, and those of the shape."""
    xp = array.namespace(half_slope)
    g1, g2 = (_columns(profile[i], half_slope) for i in (0, 1))
    slope = 2 * g1 * half_slope - log_det_slope
    curvature = None
    if half_curvature is not None:
        outer = half_slope[..., :, None] * half_slope[..., None, :]
        curvature = -(4 * g2[..., None] * outer + 2 * g1[..., None] * half_curvature)
    if profile.shape is None:
        return slope, curvature
    own, own_second, mixed = (_columns(part, half_slope) for part in profile.shape)
    slope = xp.concat([slope, own], axis=-1)
    if curvature is not None:
        side = -2 * mixed * half_slope
        above = xp.concat([curvature, side[..., :, None]], axis=-1)
        below = xp.concat([side, -own_second], axis=-1)[..., None, :]
        curvature = xp.concat([above, below], axis=-2)
    return slope, curvature


def _columns(value, like):
    """Return a number or an array (n, K) as (n, K, 1), in the namespace of `like`."""
    xp = array.namespace(like)
    if isinstance(value, float):
        return value * xp.ones_like(like[..., :1])
    return value[..., None]


def _sums(q, cholesky):
    """Return the 0/1 matrix that adds the entries of one number, (q + entries, q + numbers)."""
    sizes = [len(entries) for entries in cholesky]
    columns = np.concatenate([np.arange(q), q + np.repeat(np.arange(len(sizes)), sizes)])
    return 1.0 * (columns[:, None] == np.arange(q + len(sizes)))


class _Geometry:
    """Half of the derivatives of δ = uᵀu in the means and in entries (a, b) of L."""

    def __init__(self, U, factors, entries):
        self.U, self.xp = U, array.namespace(U)
        self.q = U.shape[2]
        self.rows, self.columns = np.array(entries, dtype=int).reshape(-1, 2).T
        self.diagonal = 1.0 * (self.rows == self.columns)
        # 1 for L_ab, L_aa for log L_aa
        of_entries = factors[:, self.rows, self.columns]
        self.scale = np.where(self.diagonal > 0, of_entries, 1.0)
        self.W = np.linalg.inv(factors)
        back = self.xp.permute_dims(U, (1, 0, 2)) @ array.like(U, self.W)
        self.V = self.xp.permute_dims(back, (1, 0, 2))  # Wᵀu: uᵀ W e_a = v_a
        self.u_b, self.v_a = self._pick(U, self.columns), self._pick(self.V, self.rows)

    def _pick(self, values, ids):
        """Return the columns `ids` of the last axis."""
        return self.xp.take(values, array.like(self.U, ids), axis=2)

    def log_det_slope(self):
        """Return the derivatives of log|L| = Σ_a log L_aa, (m,)."""
        return array.like(self.U, np.concatenate([np.zeros(self.q), self.diagonal]))

    def half_slope(self):
        """Return uᵀ ∂u/∂θ, (n, K, m): -v_j for a mean, -v_a u_b for L_ab."""
        of_entries = array.like(self.U, self.scale) * self.v_a * self.u_b
        return self.xp.concat([-self.V, -of_entries], axis=2)

    def half_curvature(self, half_slope):
        """Return (∂u/∂θ)ᵀ(∂u/∂θ) + uᵀ ∂²u/∂θ∂θ, (n, K, m, m)."""
        xp, U = self.xp, self.U
        precision = self.W.swapaxes(1, 2) @ self.W
        means = xp.broadcast_to(array.like(U, precision), (*U.shape, self.q))
        mixed, entries = self._mixed(precision), self._entries(precision)
        logs = array.like(U, np.diag(self.diagonal))  # ∂²/∂(log L_aa)² has ∂/∂log L_aa besides
        entries = entries + half_slope[:, :, self.q :, None] * logs
        above = xp.concat([means, mixed], axis=3)
        below = xp.concat([xp.permute_dims(mixed, (0, 1, 3, 2)), entries], axis=3)
        return xp.concat([above, below], axis=2)

    def _mixed(self, precision):
        """Return the block of μ_j and L_ab, (n, K, q, s): P_ja u_b + v_a W_bj with P = WᵀW."""
        scale = self.scale[:, None, :]
        P, W = precision[:, :, self.rows], self.W[:, self.columns].swapaxes(1, 2)
        P, W = array.like(self.U, P * scale, W * scale)
        return P * self.u_b[:, :, None, :] + W * self.v_a[:, :, None, :]

    def _entries(self, precision):
        """Return the block of L_ab and L_cd, (n, K, s, s).

        It is P_ac u_b u_d + v_c W_da u_b + v_a W_bc u_d.
        """
        a, b, scale = self.rows, self.columns, self.scale
        scales = scale[:, :, None] * scale[:, None, :]
        P = precision[:, a[:, None], a] * scales
        W = self.W[:, b[:, None], a] * scales
        P, W = array.like(self.U, P, W)
        u, v = self.u_b, self.v_a
        crossed = v[..., :, None] * W * u[..., None, :]
        turned = self.xp.permute_dims(crossed, (0, 1, 3, 2))
        return P * (u[..., :, None] * u[..., None, :]) + crossed + turned
