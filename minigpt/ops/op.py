"""What an op is: a forward function, and beside it the backward function that undoes it.

    class Square(mg.Op):
        @staticmethod
        def forward(ctx, x):            # arrays in, array out
            ctx.save(x)
            return x * x

        @staticmethod
        def backward(ctx, dy):          # d loss / d output in, d loss / d input out
            (x,) = ctx.saved
            return 2 * x * dy

    y = Square.apply(tensor)            # Tensors in, Tensor out; y.backward() finds its way back

Ops know arrays and a row of kernels, never Tensors. An op is not differentiated twice: backward works on arrays, so
there is no gradient of a gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..backend import Row
from ..errors import GraphError


class Context:
    """What forward leaves for backward.

    row:     the row of kernels that forward used; backward uses the same
    needs:   one bool per input, whether its gradient is wanted
    saved:   the arrays given to `save`
    Anything else (shapes, axes) may be set as an attribute.
    """

    def __init__(self, row: Row, needs: tuple[bool, ...]):
        self.row = row
        self.needs = needs
        self._saved: tuple | None = ()

    if TYPE_CHECKING:  # tells type checkers that an op may put anything on its context

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:  # only called when the attribute is missing
        raise AttributeError(f"ctx.{name} is not set: forward must set it before backward can read it")

    def save(self, *arrays):
        """Keep arrays for backward. They must not be written to until then; that is checked."""
        self._saved = arrays

    @property
    def saved(self) -> tuple:
        if self._saved is None:
            raise GraphError("what forward saved for this op has been freed by an earlier backward()")
        return self._saved

    def free(self):
        self._saved = None


class Op:
    """Base of every operation. Subclass it with static methods `forward` and `backward`; call `apply`.

    forward(ctx, *arrays, **settings) -> array or tuple of arrays
        Positional inputs are arrays (or None where an input is optional); settings are given by keyword.
    backward(ctx, *grads) -> one gradient per positional input, None where none is wanted
        A single array may be returned bare. `grads` has one array per output.

    Class attributes
    view:           the output shares memory with the first input (reshape, slices)
    keeps_dtype:    float outputs take the float type of the inputs, so that float32 stays float32
    float_inputs:   so many of the first inputs reach forward as floats of one type, the widest among them
    gives_fresh_gradients:  backward returns arrays that nobody else holds, so that a leaf may keep them without a copy
    """

    view: ClassVar[bool] = False
    keeps_dtype: ClassVar[bool] = True
    float_inputs: ClassVar[int] = 0
    gives_fresh_gradients: ClassVar[bool] = False
    apply: ClassVar[Any]  # apply(*tensors, **settings) -> Tensor(s); put here by tensor.py, since ops know no Tensor

    @staticmethod
    def forward(ctx: Context, *arrays, **settings):
        raise NotImplementedError("an Op needs a static method forward(ctx, *arrays)")

    @staticmethod
    def backward(ctx: Context, *grads):
        raise NotImplementedError("this Op has no backward(ctx, *grads), so no gradient can pass through it")
