"""tanh, sigmoid, ReLU, GELU. Formulas: kernels/reference/activation.py.

The card has a tanh of one instruction, and math.tanh becomes it; but it is right to three digits only. So tanh is
computed from one exp (which takes two instructions), and close to 0, where 1 - 2 / (e^2x + 1) would lose digits, from
a polynomial.

GELU: tanh u = 2 / (1 + e^-2u) - 1 turns GPT-2's form into y = x * s, s = 1 / (1 + e^-2u), u = c (x + a x^3).
    dx = dy * (s + x * s * (1 - s) * 2 du/dx),   du/dx = c (1 + 3 a x^2)
"""

import math

import numpy as np

from .ladder import rung
from .machine import Count, Floats, cuda, device_function, kernel
from .maps import THREADS, map_one, map_two, run_fours
from .operands import floats, refuse

ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)

# --- tanh, sigmoid, ReLU ----------------------------------------------------------------------------------------

# tanh x = x + x^3 (T0 + T1 x^2 + …), fitted at Chebyshev points to |x| < 0.6; relative error 8e-8
T0, T1, T2, T3, T4 = (np.float32(t) for t in (-0.33333330, 0.13332924, -0.053875138, 0.021116214, -0.0062763876))


@device_function
def tanh_of(x):
    size = abs(x)
    if size < np.float32(0.6):
        s = x * x
        return x + x * s * (T0 + s * (T1 + s * (T2 + s * (T3 + s * T4))))
    y = ONE - TWO / (math.exp(TWO * size) + ONE)
    return -y if x < ZERO else y


@device_function
def tanh_slope(dy, y):
    return dy * (ONE - y * y)


@device_function
def sigmoid_of(x):
    return ONE / (ONE + math.exp(-x))  # a large e^-x is inf, and 1 / inf is 0


@device_function
def sigmoid_slope(dy, y):
    return dy * y * (ONE - y)


@device_function
def relu_of(x):
    return ZERO if x <= ZERO else x  # NaN stays NaN


@device_function
def relu_slope(dy, x):
    return dy if x > ZERO else ZERO


tanh_kernel, tanh_backward_kernel = map_one(tanh_of, "tanh"), map_two(tanh_slope, "tanh_backward")
sigmoid_kernel, sigmoid_backward_kernel = map_one(sigmoid_of, "sigmoid"), map_two(sigmoid_slope, "sigmoid_backward")
relu_kernel, relu_backward_kernel = map_one(relu_of, "relu"), map_two(relu_slope, "relu_backward")


def tanh_forward(x):
    return run_fours(tanh_kernel, floats("tanh", x))


def tanh_backward(dy, y):
    return run_fours(tanh_backward_kernel, [dy, y])


def sigmoid_forward(x):
    return run_fours(sigmoid_kernel, floats("sigmoid", x))


def sigmoid_backward(dy, y):
    return run_fours(sigmoid_backward_kernel, [dy, y])


def relu_forward(x):
    if x.dtype != np.float32:
        refuse("relu", x.dtype)
    return run_fours(relu_kernel, [x])


def relu_backward(dy, x):
    return run_fours(relu_backward_kernel, [dy, x])


# --- GELU, tanh form --------------------------------------------------------------------------------------------

_C, _A = math.sqrt(2.0 / math.pi), 0.044715
C, A, A3 = np.float32(_C), np.float32(_A), np.float32(3 * _A)
C2, C2A, C6A = np.float32(-2 * _C), np.float32(-2 * _C * _A), np.float32(6 * _C * _A)
FAR = np.float32(20)  # beyond this the slope is 0 or 1, and x^3 need not overflow to find out


@device_function
def gelu_of(x):
    return x / (ONE + math.exp(x * (C2 + C2A * x * x)))


@device_function
def gelu_slope(dy, x):
    if abs(x) > FAR:
        return dy if x > ZERO else ZERO * dy
    s = ONE / (ONE + math.exp(x * (C2 + C2A * x * x)))
    return dy * (s + x * s * (ONE - s) * (C6A * x * x - C2))


@rung("gelu_forward", 1, "the formula, element by element, with tanh")
@kernel(threads=THREADS)
def gelu_v1(x: Floats, y: Floats, n: Count):
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        v = x[i]
        y[i] = HALF * v * (ONE + tanh_of(C * (v + A * v * v * v)))
        i += step


@rung("gelu_forward", 2, "tanh and the rest of the formula by one exp and one division")
@kernel(threads=THREADS)
def gelu_v2(x: Floats, y: Floats, n: Count):
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        y[i] = gelu_of(x[i])
        i += step


gelu_v3 = rung("gelu_forward", 3, "128 bits an access: four times as many bytes under way")(map_one(gelu_of, "gelu_v3"))


@rung("gelu_backward", 1, "the formula, element by element, with tanh")
@kernel(threads=THREADS)
def gelu_backward_v1(dy: Floats, x: Floats, dx: Floats, n: Count):
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        v = x[i]
        t = tanh_of(C * (v + A * v * v * v))
        du = C * (ONE + A3 * v * v)
        dx[i] = dy[i] * (HALF * (ONE + t) + HALF * v * (ONE - t * t) * du)
        i += step


@rung("gelu_backward", 2, "tanh and the rest of the formula by one exp and one division")
@kernel(threads=THREADS)
def gelu_backward_v2(dy: Floats, x: Floats, dx: Floats, n: Count):
    i, step = np.uint32(cuda.grid(1)), np.uint32(cuda.gridsize(1))
    while i < n:
        dx[i] = gelu_slope(dy[i], x[i])
        i += step


gelu_backward_v3 = rung("gelu_backward", 3, "128 bits an access: four times as many bytes under way")(
    map_two(gelu_slope, "gelu_backward_v3")
)

# --- GELU, exact form -------------------------------------------------------------------------------------------

ROOT_HALF, DENSITY = np.float32(math.sqrt(0.5)), np.float32(1 / math.sqrt(2 * math.pi))


@device_function
def exact_gelu_of(x):
    return HALF * x * (ONE + math.erf(x * ROOT_HALF))


@device_function
def exact_gelu_slope(dy, x):
    if abs(x) > FAR:
        return dy if x > ZERO else ZERO * dy
    return dy * (HALF * (ONE + math.erf(x * ROOT_HALF)) + x * DENSITY * math.exp(-HALF * x * x))


exact_gelu, exact_gelu_backward = map_one(exact_gelu_of, "gelu_erf"), map_two(exact_gelu_slope, "gelu_erf_backward")


def gelu_forward(x, approximate="tanh"):
    return run_fours(gelu_v3 if approximate == "tanh" else exact_gelu, floats("gelu", x))


def gelu_backward(dy, x, approximate="tanh"):
    return run_fours(gelu_backward_v3 if approximate == "tanh" else exact_gelu_backward, [dy, x])
