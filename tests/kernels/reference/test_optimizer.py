"""Optimizer steps worked out by hand, and that they write in place."""

import math

import numpy as np

from kernels.reference.optimizer import adam_step, sgd_step


def test_the_first_adam_step_moves_by_the_learning_rate():
    """Both corrections cancel at t = 1: the step is lr * g / (|g| + eps), whatever the size of g."""
    p, m, v = np.array([1.0, 1.0, 1.0]), np.zeros(3), np.zeros(3)
    before = p
    adam_step(p, np.array([1e-3, -50.0, 0.0]), m, v, 1, 0.1, 0.9, 0.999, 1e-8, 0.0, True)
    assert p is before
    np.testing.assert_allclose(p, [0.9, 1.1, 1.0], rtol=1e-5)
    np.testing.assert_allclose(m, [1e-4, -5, 0])
    np.testing.assert_allclose(v, [1e-9, 2.5, 0])


def test_two_adam_steps_by_hand():
    p, m, v = np.array([0.5]), np.zeros(1), np.zeros(1)
    for step, g in ((1, 1.0), (2, 3.0)):
        adam_step(p, np.array([g]), m, v, step, 0.1, 0.5, 0.75, 0.0, 0.0, True)
    # m = 0.5*0.5*1 + 0.5*3 = 1.75, corrected by 1 - 0.25; v = 0.75*0.25 + 0.25*9 = 2.4375, corrected by 1 - 0.5625
    second = 0.1 * (1.75 / 0.75) / math.sqrt(2.4375 / 0.4375)
    np.testing.assert_allclose(p, [0.5 - 0.1 - second], rtol=1e-12)


def test_weight_decay_of_adamw_shrinks_and_that_of_adam_joins_the_gradient():
    for decoupled, expected in ((True, 2.0 * (1 - 0.1 * 0.5)), (False, 2.0 - 0.1)):
        p = np.array([2.0])
        adam_step(p, np.zeros(1), np.zeros(1), np.zeros(1), 1, 0.1, 0.9, 0.999, 1e-12, 0.5, decoupled)
        np.testing.assert_allclose(p, [expected], rtol=1e-9)


def test_sgd_with_momentum_and_decay():
    p, velocity, grad = np.array([1.0]), np.zeros(1), np.array([2.0])
    sgd_step(p, grad, velocity, 0.1, 0.9, 0.5)  # g = 2.5
    np.testing.assert_allclose((p[0], velocity[0]), (0.75, 2.5))
    sgd_step(p, grad, velocity, 0.1, 0.9, 0.0)  # velocity = 0.9 * 2.5 + 2
    np.testing.assert_allclose((p[0], velocity[0]), (0.75 - 0.425, 4.25))
    sgd_step(p, grad, None, 0.1, 0.0, 0.0)
    np.testing.assert_allclose(p, [0.125])
    np.testing.assert_array_equal(grad, [2.0])


def test_float32_parameters_stay_float32():
    p, m, v = (np.ones(2, np.float32) for _ in range(3))
    grad = np.ones(2, np.float32)
    grad.flags.writeable = False
    adam_step(p, grad, m, v, 3, 0.1, 0.9, 0.999, 1e-8, 0.1, False)
    sgd_step(p, grad, m, 0.1, 0.9, 0.1)
    assert p.dtype == m.dtype == v.dtype == np.float32
    assert np.isfinite(p).all()
