"""A student's ops, each in a right and in a wrong version: bugs that run without an error, most of them."""

import numpy as np

import minigpt as mg


class Project(mg.Op):
    """y = x @ w"""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved
        return dy @ w.T, x.T @ dy


class ProjectTransposed(Project):
    """The weight's gradient transposed: it fits, where w is square."""

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved
        return dy @ w.T, dy.T @ x


class AddBias(mg.Op):
    """y = x + b, x (N, C), b (C,)"""

    @staticmethod
    def forward(ctx, x, b):
        return x + b

    @staticmethod
    def backward(ctx, dy):
        return dy, dy.sum(axis=0)


class AddBiasNotSummed(AddBias):
    """The bias was repeated over N rows, its gradient is not added up over them."""

    @staticmethod
    def backward(ctx, dy):
        return dy, dy


class Recurrence(mg.Op):
    """h_t = tanh(x_t + h_{t-1} @ w), h_0 = 0;  x (T, N, C), w (C, C) -> h_T (N, C)"""

    accumulates = True

    @staticmethod
    def forward(ctx, x, w):
        states = [np.zeros_like(x[0])]
        for x_t in x:
            states.append(np.tanh(x_t + states[-1] @ w))
        ctx.save(w, *states)
        return states[-1]

    @classmethod
    def backward(cls, ctx, dh):
        w, *states = ctx.saved
        dw, dx = np.zeros_like(w), np.zeros((len(states) - 1, *states[0].shape), w.dtype)
        for t in reversed(range(len(dx))):
            dx[t] = dh * (1 - states[t + 1] ** 2)
            dw = cls.added(dw, states[t].T @ dx[t])
            dh = dx[t] @ w.T
        return dx, dw

    @staticmethod
    def added(dw, here):
        return dw + here


class RecurrenceOverwriting(Recurrence):
    """= for +=: of all steps through which the weight acts, the gradient of one is left."""

    @staticmethod
    def added(dw, here):
        return here


class Lookup(mg.Op):
    """y[i] = w[ids[i]]"""

    @staticmethod
    def forward(ctx, ids, w):
        ctx.save(ids, w)
        return w[ids]

    @staticmethod
    def backward(ctx, dy):
        ids, w = ctx.saved
        dw = np.zeros_like(w)
        np.add.at(dw, ids, dy)
        return None, dw


class LookupOverwriting(Lookup):
    """Of an id that occurs twice, the gradient of the last place is left."""

    @staticmethod
    def backward(ctx, dy):
        ids, w = ctx.saved
        dw = np.zeros_like(w)
        dw[ids] = dy
        return None, dw


C = np.sqrt(2 / np.pi)


class Bend(mg.Op):
    """GELU, tanh form"""

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return 0.5 * x * (1 + np.tanh(C * (x + 0.044715 * x**3)))

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved
        t = np.tanh(C * (x + 0.044715 * x**3))
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * C * (1 + 3 * 0.044715 * x**2))


class BendWrongSlope(Bend):
    """The chain rule stops at tanh: the derivative of what is inside it is missing."""

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved
        t = np.tanh(C * (x + 0.044715 * x**3))
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t))
