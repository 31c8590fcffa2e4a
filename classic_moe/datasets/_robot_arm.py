"""The dynamics of a robot arm with four joints."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ._make import _check_count

GRAVITY = 9.81
AXES = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 1, 0]], dtype=float)
"""Joint axes: yaw, pitch and roll of the shoulder, which share one point, and the elbow."""
LENGTHS = np.array([0.0, 0.0, 0.30, 0.33])
"""Metres; links lie along x. The first two only join the axes of the shoulder."""
MASSES = np.array([0.0, 0.0, 2.0, 1.5])
"""Kilograms."""
RADIUS = 0.04
"""Of the links, which are solid cylinders; metres."""
ROTOR = 0.02
"""Inertia that every motor adds to its joint; kg m²."""
FRICTION = 0.1
"""Viscous, in every joint; N m s."""

ANGLES = np.array([[-1.4, -1.4, -1.4, 0.3], [1.4, 1.4, 1.4, 2.1]])
VELOCITIES = 4.25
TORQUES = np.array([6.0, 6.0, 3.0, 3.0])

# Joint i and the centre of link i, in the frames of links i - 1 and i.
_JOINTS = np.column_stack([np.r_[0.0, LENGTHS[:-1]], np.zeros((4, 2))])
_CENTRES = np.column_stack([LENGTHS / 2, np.zeros((4, 2))])
_ACROSS = MASSES * (3 * RADIUS**2 + LENGTHS**2) / 12
_INERTIAS = np.column_stack([MASSES * RADIUS**2 / 2, _ACROSS, _ACROSS])  # principal moments


def make_robot_arm(
    n_samples: int = 20_000, *, random_state: int | np.random.RandomState | None = None
) -> tuple[Any, ...]:
    """Make the forward dynamics of a robot arm: accelerations from angles, velocities and torques.

    Four joints, three in the shoulder and one in the elbow, move an upper arm of 0.30 m and 2 kg
    and a forearm of 0.33 m and 1.5 kg under gravity, with rotor inertia and viscous friction.
    States and torques are uniform; there is no noise. The problem follows that on which
    hierarchical mixtures were first compared with other methods [1]_, whose arm is not published;
    with these constants a linear regression leaves about 0.3 of the variance, as there.

    Parameters
    ----------
    n_samples : int, default=20000
        Number of rows, n; the paper trains on 15,000 and tests on 5,000.
    random_state : int, RandomState instance or None, default=None
        Seed for the rows.

    Returns
    -------
    X : ndarray of shape (n_samples, 12)
        Joint angles (rad; the first three in ±1.4, the elbow in 0.3 to 2.1), velocities (rad/s,
        ±4.25), torques (N m, ±6 twice, ±3 twice), in this order, four of each.
    y : ndarray of shape (n_samples, 4)
        Joint accelerations, rad/s².

    Raises
    ------
    ValueError
        If ``n_samples`` is not a whole number of at least 1.

    References
    ----------
    .. [1] Jordan, M. I. & Jacobs, R. A. (1994). Hierarchical mixtures of experts and the EM
       algorithm. Neural Computation 6, 181-214.

    Examples
    --------
    >>> from classic_moe.datasets import make_robot_arm
    >>> X, y = make_robot_arm(100, random_state=0)
    >>> X.shape, y.shape
    ((100, 12), (100, 4))
    """
    _check_count("n_samples", n_samples)
    rng = check_random_state(random_state)
    angles = rng.uniform(*ANGLES, size=(n_samples, 4))
    velocities = rng.uniform(-VELOCITIES, VELOCITIES, size=(n_samples, 4))
    torques = rng.uniform(-TORQUES, TORQUES, size=(n_samples, 4))
    y = forward_dynamics(angles, velocities, torques)
    return np.hstack([angles, velocities, torques]), y


def forward_dynamics(angles, velocities, torques):
    """Accelerations M⁻¹ (torques - bias), all arguments (n, 4)."""
    still = np.zeros_like(angles)
    bias = inverse_dynamics(angles, velocities, still) + FRICTION * velocities
    return np.linalg.solve(mass_matrix(angles), (torques - bias)[..., None])[..., 0]


def mass_matrix(angles):
    """M (n, 4, 4); column j is the torque, at rest and weightless, of a unit acceleration of j."""
    still = np.zeros_like(angles)
    columns = [inverse_dynamics(angles, still, still + unit, gravity=0.0) for unit in np.eye(4)]
    return np.stack(columns, axis=-1) + ROTOR * np.eye(4)


def inverse_dynamics(angles, velocities, accelerations, gravity=GRAVITY):
    """Torques (n, 4) for given accelerations, by recursive Newton-Euler; rotors, friction left out.

    Outwards along the arm go the motions of the links, inwards the forces and torques on them, each
    in the frame of its link. An upward acceleration of the base stands for gravity.
    """
    n = len(angles)
    turns = [_rotation(axis, angle) for axis, angle in zip(AXES, angles.T, strict=True)]
    spin, spin_rate = np.zeros((n, 3)), np.zeros((n, 3))
    acceleration = np.tile([0.0, 0.0, gravity], (n, 1))
    forces, moments = [], []
    for i, axis in enumerate(AXES):
        acceleration = _to_link(turns[i], acceleration + _turning(spin, spin_rate, _JOINTS[i]))
        joint_spin = velocities[:, [i]] * axis
        spin, spin_rate = _to_link(turns[i], spin), _to_link(turns[i], spin_rate)
        spin_rate = spin_rate + accelerations[:, [i]] * axis + np.cross(spin, joint_spin)
        spin = spin + joint_spin
        centre = acceleration + _turning(spin, spin_rate, _CENTRES[i])
        forces.append(MASSES[i] * centre)
        moments.append(_INERTIAS[i] * spin_rate + np.cross(spin, _INERTIAS[i] * spin))

    torques = np.empty((n, 4))
    force, moment = np.zeros((n, 3)), np.zeros((n, 3))  # on link i at its joint
    for i in reversed(range(4)):
        if i < 3:
            force, moment = _to_previous(turns[i + 1], force), _to_previous(turns[i + 1], moment)
            moment = moment + np.cross(_JOINTS[i + 1], force)
        force = force + forces[i]
        moment = moment + moments[i] + np.cross(_CENTRES[i], forces[i])
        torques[:, i] = moment @ AXES[i]
    return torques


def _turning(spin, spin_rate, arm):
    """Acceleration at `arm` of a body that turns."""
    return np.cross(spin_rate, arm) + np.cross(spin, np.cross(spin, arm))


def _rotation(axis, angle):
    """From the frame of a link to that of the link before it, (n, 3, 3), for a coordinate axis."""
    k = int(axis.argmax())
    i, j = (k + 1) % 3, (k + 2) % 3
    turn = np.zeros((len(angle), 3, 3))
    turn[:, k, k] = 1
    turn[:, i, i] = turn[:, j, j] = np.cos(angle)
    turn[:, j, i] = np.sin(angle)
    turn[:, i, j] = -turn[:, j, i]
    return turn


def _to_previous(turn, vectors):
    return np.einsum("nij,nj->ni", turn, vectors)


def _to_link(turn, vectors):
    return np.einsum("nji,nj->ni", turn, vectors)
