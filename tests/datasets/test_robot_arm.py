import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression

from classic_moe.datasets import _robot_arm as arm
from classic_moe.datasets import make_robot_arm


@pytest.fixture(scope="module")
def states():
    X, y = make_robot_arm(500, random_state=1)
    return X[:, :4], X[:, 4:8], X[:, 8:], y


def test_golden_rows():
    # of another implementation of the same arm, whose transformations are written out by hand
    X = [0.5, -0.3, 0.8, 1.2, 1.0, -2.0, 3.0, -1.5, 2.0, -4.0, 1.0, 0.5]
    angles, velocities, torques = np.reshape(X, (3, 1, 4))
    golden = [9.30757820593, 15.3585880979, -11.4190439851, -3.84184710712]
    assert_allclose(arm.forward_dynamics(angles, velocities, torques)[0], golden, rtol=1e-9)


def test_the_mass_matrix_is_symmetric_and_positive_definite(states):
    mass = arm.mass_matrix(states[0])
    assert_allclose(mass, mass.transpose(0, 2, 1), atol=1e-14)  # rounding of numbers up to 1
    assert np.linalg.eigvalsh(mass).min() >= arm.ROTOR - 1e-14


def heights(angles):
    """Height of the centre of each link, by walking along the arm."""
    turn, joint, centres = np.eye(3), np.zeros((len(angles), 3)), []
    for i in range(4):
        joint = joint + turn @ arm._JOINTS[i]
        turn = turn @ arm._rotation(arm.AXES[i], angles[:, i])
        centres.append((joint + turn @ arm._CENTRES[i])[:, 2])
    return np.stack(centres, axis=1)


def energy(angles, velocities):
    mass = arm.mass_matrix(angles)
    kinetic = np.einsum("ni,nij,nj->n", velocities, mass, velocities) / 2
    return kinetic + arm.GRAVITY * heights(angles) @ arm.MASSES


def test_energy_changes_by_the_work_of_the_torques(states):
    angles, velocities, torques, accelerations = states
    h = 1e-4  # of a difference of order 6, whose error is then that of rounding, 1e-11
    change = sum(
        weight
        * (
            energy(angles + k * h * velocities, velocities + k * h * accelerations)
            - energy(angles - k * h * velocities, velocities - k * h * accelerations)
        )
        for k, weight in [(1, 3 / 4), (2, -3 / 20), (3, 1 / 60)]
    )
    power = np.sum(velocities * (torques - arm.FRICTION * velocities), axis=1)
    assert_allclose(change / h, power, atol=1e-9)


def test_inverse_and_forward_dynamics_agree(states):
    angles, velocities, torques, accelerations = states
    needed = arm.inverse_dynamics(angles, velocities, accelerations)
    needed += arm.ROTOR * accelerations + arm.FRICTION * velocities
    assert_allclose(needed, torques, atol=1e-12)


def test_a_line_leaves_the_share_of_the_paper():
    X, y = make_robot_arm(6000, random_state=0)
    residual = y[4500:] - LinearRegression().fit(X[:4500], y[:4500]).predict(X[4500:])
    share = np.sum(residual**2) / np.sum((y[4500:] - y[4500:].mean(axis=0)) ** 2)
    assert 0.28 < share < 0.33  # .31 and .32 there


def test_rows_lie_in_the_stated_ranges_and_follow_the_seed():
    X, y = make_robot_arm(2000, random_state=3)
    low = np.r_[-1.4, -1.4, -1.4, 0.3, np.full(4, -4.25), -6, -6, -3, -3]
    high = np.r_[1.4, 1.4, 1.4, 2.1, np.full(4, 4.25), 6, 6, 3, 3]
    assert (X.min(axis=0) >= low).all()
    assert (X.max(axis=0) <= high).all()
    assert_allclose(np.ptp(X, axis=0), high - low, rtol=0.01)  # 2,000 rows end 1e-3 short
    assert_array_equal(y, make_robot_arm(2000, random_state=3)[1])
    assert not np.array_equal(y, make_robot_arm(2000, random_state=4)[1])


def test_rows_must_be_counted():
    with pytest.raises(ValueError, match="n_samples must be a whole number of at least 1, got 0"):
        make_robot_arm(0)
