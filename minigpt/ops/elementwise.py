"""Operations on elements at the same place: arithmetic, exp and log, comparison, choice.

Shapes: inputs broadcast to the output's shape as in NumPy; every backward sums over what was repeated.
"""

from __future__ import annotations

from ..errors import ArgumentError
from .broadcast import broadcast_shape, unbroadcast
from .op import Op


def _remember_shapes(ctx, name, a, b):
    broadcast_shape(name, a.shape, b.shape)  # raises with the axis named
    ctx.shapes = (a.shape, b.shape)


def _refuse_booleans(name, *arrays):
    if all(a.dtype.kind == "b" for a in arrays):
        raise ArgumentError(f"{name}: booleans have no minus; count with them after x.astype(int)")


def _unbroadcast_pair(ctx, da, db):
    """(d a, d b) in the shapes that a and b had; None stays None."""
    a_shape, b_shape = ctx.shapes
    return (
        None if da is None else unbroadcast(ctx.row, da, a_shape),
        None if db is None else unbroadcast(ctx.row, db, b_shape),
    )


class Add(Op):
    """y = a + b;  da = dy, db = dy"""

    @staticmethod
    def forward(ctx, a, b):
        _remember_shapes(ctx, "add", a, b)
        return ctx.row.add(a, b)

    @staticmethod
    def backward(ctx, dy):
        return _unbroadcast_pair(ctx, dy if ctx.needs[0] else None, dy if ctx.needs[1] else None)


class Sub(Op):
    """y = a - b;  da = dy, db = -dy"""

    @staticmethod
    def forward(ctx, a, b):
        _remember_shapes(ctx, "subtract", a, b)
        _refuse_booleans("subtract", a, b)
        return ctx.row.subtract(a, b)

    @staticmethod
    def backward(ctx, dy):
        return _unbroadcast_pair(ctx, dy if ctx.needs[0] else None, ctx.row.negative(dy) if ctx.needs[1] else None)


class Mul(Op):
    """y = a * b;  da = dy * b, db = dy * a"""

    @staticmethod
    def forward(ctx, a, b):
        _remember_shapes(ctx, "multiply", a, b)
        ctx.save(a if ctx.needs[1] else None, b if ctx.needs[0] else None)
        return ctx.row.multiply(a, b)

    @staticmethod
    def backward(ctx, dy):
        a, b = ctx.saved
        return _unbroadcast_pair(
            ctx,
            ctx.row.multiply(dy, b) if ctx.needs[0] else None,
            ctx.row.multiply(dy, a) if ctx.needs[1] else None,
        )


class Div(Op):
    """y = a / b;  da = dy / b, db = -dy * y / b"""

    @staticmethod
    def forward(ctx, a, b):
        _remember_shapes(ctx, "divide", a, b)
        y = ctx.row.divide(a, b)
        ctx.save(b, y if ctx.needs[1] else None)
        return y

    @staticmethod
    def backward(ctx, dy):
        b, y = ctx.saved
        da = ctx.row.divide(dy, b)
        db = ctx.row.negative(ctx.row.multiply(da, y)) if ctx.needs[1] else None
        return _unbroadcast_pair(ctx, da if ctx.needs[0] else None, db)


class Pow(Op):
    """y = a ^ b;  da = dy * b * a^(b-1), db = dy * y * ln a

    At b = 0, da is 0; at a = 0, db is 0 (limits of the formulas). A negative a with a fractional b gives NaN.
    """

    @staticmethod
    def forward(ctx, a, b):
        _remember_shapes(ctx, "power", a, b)
        if a.dtype.kind != "f" and b.dtype.kind == "i" and b.size and b.min() < 0:
            raise ArgumentError(
                "power: integers have no exact negative powers; make them floats first: x.astype(float)"
            )
        y = ctx.row.power(a, b)
        ctx.save(a, b, y if ctx.needs[1] else None)
        return y

    @staticmethod
    def backward(ctx, dy):
        a, b, y = ctx.saved
        return _unbroadcast_pair(
            ctx,
            ctx.row.power_backward(dy, a, b) if ctx.needs[0] else None,
            ctx.row.power_backward_exponent(dy, a, y) if ctx.needs[1] else None,
        )


class PowNumber(Op):
    """y = x ^ e for a plain number e;  dx = dy * e * x^(e-1)"""

    @staticmethod
    def forward(ctx, x, exponent):
        if x.dtype.kind != "f" and isinstance(exponent, int) and exponent < 0:
            raise ArgumentError(
                f"power: integers have no exact power {exponent}; make them floats first: x.astype(float)"
            )
        ctx.exponent = exponent
        ctx.save(x)
        return ctx.row.power(x, exponent)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved
        return ctx.row.power_backward(dy, x, ctx.exponent)


class Neg(Op):
    """y = -x;  dx = -dy"""

    @staticmethod
    def forward(ctx, x):
        _refuse_booleans("negative", x)
        return ctx.row.negative(x)

    @staticmethod
    def backward(ctx, dy):
        return ctx.row.negative(dy)


class Abs(Op):
    """y = |x|;  dx = dy * sign(x), which is 0 at 0"""

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return ctx.row.absolute(x)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved
        return ctx.row.multiply(dy, ctx.row.sign(x))


class Exp(Op):
    """y = e^x;  dx = dy * y"""

    @staticmethod
    def forward(ctx, x):
        y = ctx.row.exp(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved
        return ctx.row.multiply(dy, y)


class Log(Op):
    """y = ln x;  dx = dy / x"""

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return ctx.row.log(x)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved
        return ctx.row.divide(dy, x)


class Sqrt(Op):
    """y = sqrt x;  dx = dy / (2 y)"""

    @staticmethod
    def forward(ctx, x):
        y = ctx.row.sqrt(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved
        return ctx.row.divide(dy, ctx.row.multiply(y, 2))


class Where(Op):
    """y = a where condition, else b;  da = dy where condition, else 0; db the other way round"""

    @staticmethod
    def forward(ctx, condition, a, b):
        broadcast_shape("where", condition.shape, a.shape, b.shape, labels=("condition", "a", "b"))
        ctx.shapes = (a.shape, b.shape)
        ctx.save(condition)
        return ctx.row.where(condition, a, b)

    @staticmethod
    def backward(ctx, dy):
        (condition,) = ctx.saved
        zero = ctx.row.zeros((), dy.dtype)
        da = ctx.row.where(condition, dy, zero) if ctx.needs[1] else None
        db = ctx.row.where(condition, zero, dy) if ctx.needs[2] else None
        return (None, *_unbroadcast_pair(ctx, da, db))


class Compare(Op):
    """y = a relation b, booleans; relation one of < <= > >= == !=. There is no gradient to pass on."""

    @staticmethod
    def forward(ctx, a, b, relation):
        broadcast_shape(f"comparison {relation}", a.shape, b.shape)
        return ctx.row.compare(a, b, relation)

    @staticmethod
    def backward(ctx, dy):
        return None, None


class Cast(Op):
    """y = x in another dtype;  dx = dy (in x's dtype again)"""

    keeps_dtype = False

    @staticmethod
    def forward(ctx, x, dtype):
        return ctx.row.astype(x, dtype)

    @staticmethod
    def backward(ctx, dy):
        return dy


class Label(Op):
    """y = x, under a name that observers see;  dx = dy. Applied only while an observer is set.

    Settings: name; step (t, T) where the same point is met at each of T steps
    """

    view = True

    @staticmethod
    def forward(ctx, x, name, step=None):
        return x

    @staticmethod
    def backward(ctx, dy):
        return dy
