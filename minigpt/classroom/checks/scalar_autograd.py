"""ex_scalar_autograd: a class Value, a number that knows what it was made of and can send gradients back."""

import math

import numpy as np

from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("scalar_autograd", answer="Value", outputs=("value", "grads"))

LONG = 1100  # additions in a row: more than Python's limit of 1000 calls inside each other


def _ladder(a, b, c):
    d = a * b
    e = d + c
    f = e * d
    return f.tanh() + e * c + d


EXPRESSIONS = {
    "a + b": lambda a, b, c: a + b,
    "a * b": lambda a, b, c: a * b,
    "tanh(a)": lambda a, b, c: a.tanh(),
    "tanh(a * b + c)": lambda a, b, c: (a * b + c).tanh(),
    "tanh(tanh(a) * b)": lambda a, b, c: (a.tanh() * b).tanh(),
    "a * a": lambda a, b, c: a * a,
    "a + a": lambda a, b, c: a + a,
    "a * b + a * c": lambda a, b, c: a * b + a * c,
    "d = a * b; d + tanh(d) * c": lambda a, b, c: (d := a * b) + d.tanh() * c,
    "d = a * b; e = d + c; tanh(e * d) + e * c + d": _ladder,
    "a": lambda a, b, c: a,
    f"(a + b + b + … {LONG} times …) * c": lambda a, b, c: sum([b] * LONG, a) * c,
}


@exercise.runner
def run(Value, expression, a, b=0.0, c=0.0, backward=True):
    """Make leaves of a, b, c, compute the expression, call backward() on it; the value, and the leaves' gradients.

    backward=False: the value alone, for those who have not written it yet
    """
    leaves = [Value(x) for x in (a, b, c)]
    try:
        out = EXPRESSIONS[expression](*leaves)
        if backward:
            out.backward()
    except RecursionError:  # its own text depends on where exactly the stack ended
        raise RecursionError("too many calls inside each other") from None
    return out.data, [leaf.grad for leaf in leaves]


@exercise.reference
class LibraryValue:
    """The interface of Value over a Tensor of one number."""

    def __init__(self, x):
        self.tensor = x if isinstance(x, Tensor) else Tensor(np.float64(x), requires_grad=True)

    def __add__(self, other):
        return type(self)(self.tensor + other.tensor)

    def __mul__(self, other):
        return type(self)(self.tensor * other.tensor)

    def tanh(self):
        return type(self)(self.tensor.tanh())

    def backward(self):
        self.tensor.backward()

    @property
    def data(self):
        return self.tensor.item()

    @property
    def grad(self):
        return 0.0 if self.tensor.grad is None else float(self.tensor.grad)


def _case(label, rng, expression, **settings):
    return Case(label, expression, *(float(x) for x in rng.uniform(0.3, 1.5, 3).round(2)), **settings)


@exercise.part("values", of=["value"])
def values(rng):
    yield Case("a sum", "a + b", 2.0, 3.0, backward=False)
    yield Case("a product", "a * b", 2.0, 3.0, backward=False)
    yield Case("tanh", "tanh(a)", 0.5, backward=False)
    yield _case("a neuron", rng, "tanh(a * b + c)", backward=False)


@exercise.part("one operation", points=2, of=["grads"])
def one_operation(rng):
    yield Case("a sum", "a + b", 2.0, 3.0)
    yield Case("a product", "a * b", 2.0, 3.0)
    yield Case("tanh", "tanh(a)", 0.5)


@exercise.part("one operation after another", of=["grads"])
def chain_rule(rng):
    yield _case("a neuron", rng, "tanh(a * b + c)")
    yield _case("two neurons", rng, "tanh(tanh(a) * b)")


@exercise.part("a leaf that is used twice", points=2, of=["grads"])
def used_twice(rng):
    yield _case("a square", rng, "a * a")
    yield _case("twice the same", rng, "a + a")
    yield _case("in two products", rng, "a * b + a * c")


@exercise.part("an inner number that is used twice", points=2, of=["grads"])
def shared(rng):
    yield _case("at two depths", rng, "d = a * b; d + tanh(d) * c")
    yield _case("two such numbers", rng, "d = a * b; e = d + c; tanh(e * d) + e * c + d")


@exercise.part("edges")
def edges(rng):
    yield _case("a leaf by itself", rng, "a")
    yield _case("a long chain", rng, f"(a + b + b + … {LONG} times …) * c")


class _Right:
    """A right answer; each mistake changes one method."""

    def __init__(self, data, inputs=(), slopes=()):
        self.data, self.grad, self.inputs, self.slopes = data, 0.0, inputs, slopes

    def __add__(self, other):
        return type(self)(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return type(self)(self.data * other.data, (self, other), (other.data, self.data))

    def tanh(self):
        y = math.tanh(self.data)
        return type(self)(y, (self,), (self.tanh_slope(self.data, y),))

    @staticmethod
    def tanh_slope(a, y):
        return 1 - y * y

    def order(self):
        """All numbers that self was made of, inputs before what is made of them; no recursion."""
        done, seen, todo = [], set(), [(self, False)]
        while todo:
            node, ready = todo.pop()
            if ready:
                done.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                todo += [(node, True), *((x, False) for x in node.inputs)]
        return done

    def push(self):
        for x, slope in zip(self.inputs, self.slopes, strict=True):
            x.grad += slope * self.grad

    def backward(self):
        self.grad = 1.0
        for node in reversed(self.order()):
            node.push()


@exercise.mistake(
    "You set the gradient of an input, where you should add to it. What is used twice gets a share from each use; the "
    "second one wiped out the first."
)
class Overwrites(_Right):
    def push(self):
        for x, slope in zip(self.inputs, self.slopes, strict=True):
            x.grad = slope * self.grad


@exercise.mistake(
    "In your product each factor gets itself as its slope. If b is 3, one more in a makes a * b greater by 3: the "
    "slope for a is b, that for b is a."
)
class OwnFactor(_Right):
    def __mul__(self, other):
        return type(self)(self.data * other.data, (self, other), (self.data, other.data))


@exercise.mistake("Both inputs of your product get slope 1, as in a sum. The slope for one factor is the other factor.")
class ProductLikeSum(_Right):
    def __mul__(self, other):
        return type(self)(self.data * other.data, (self, other), (1.0, 1.0))


@exercise.mistake("The slope of your tanh is 1 - y. With y = tanh(a) it is 1 - y², y times y.")
class TanhWithoutSquare(_Right):
    @staticmethod
    def tanh_slope(a, y):
        return 1 - y


@exercise.mistake("The slope of your tanh is 1 - a², taken at the input. It is 1 - y², where y is the result, tanh(a).")
class TanhAtInput(_Right):
    @staticmethod
    def tanh_slope(a, y):
        return 1 - a * a


@exercise.mistake("tanh passes your gradient on unchanged. Its slope is 1 - y², which is near 0 where tanh is flat.")
class TanhSlopeOne(_Right):
    @staticmethod
    def tanh_slope(a, y):
        return 1.0


@exercise.mistake(
    "Your numbers hand back their own slope only. The chain rule multiplies it by the gradient that has come in: what "
    "an input gets is slope * self.grad."
)
class WithoutIncoming(_Right):
    def push(self):
        for x, slope in zip(self.inputs, self.slopes, strict=True):
            x.grad += slope


@exercise.mistake(
    "Nothing starts the gradient, so all of them stay 0. The number that backward() is called on has gradient 1 with "
    "respect to itself."
)
class WithoutSeed(_Right):
    def backward(self):
        for node in reversed(self.order()):
            node.push()


@exercise.mistake(
    "You handed gradients on as soon as you met a number, once for each way to it. A number that is used twice then "
    "hands on its first share twice. It must wait until all of its gradient has come in, and hand it on once."
)
class OncePerWay(_Right):
    def backward(self):
        self.grad = 1.0
        todo = [self]  # as if each number called its inputs, without the limit on calls
        while todo:
            node = todo.pop()
            node.push()
            todo += reversed(node.inputs)


@exercise.mistake(
    "Your backward() calls backward() of the inputs, and that sets their gradient to 1, whatever has come in. Only the "
    "number that it is called on from outside begins with 1; passing on is another task."
)
class BackwardOfInputs(_Right):
    def backward(self):
        for node in self.order():
            node.grad = 1.0


@exercise.mistake(
    "You went level by level from the result. A number that is used at two depths is met first at the upper one and "
    "hands its gradient on before the rest of it has come in. Every number must come after all that were made of it."
)
class ByLevels(_Right):
    def backward(self):
        self.grad = 1.0
        seen, queue = {id(self)}, [self]
        for node in queue:
            node.push()
            for x in node.inputs:
                if id(x) not in seen:
                    seen.add(id(x))
                    queue.append(x)


@exercise.mistake(
    "You went from the leaves to the result, as in forward. Gradients come from the result: the list of all numbers "
    "must be run through from its end."
)
class FromTheLeaves(_Right):
    def backward(self):
        self.grad = 1.0
        for node in self.order():
            node.push()


@exercise.mistake(
    "Your function calls itself for each number, and Python allows about 1000 calls inside each other; a sum over 1100 "
    "terms needs more. Keep a list of what is still to do, and take from its end in a loop."
)
class Recursive(_Right):
    def order(self):
        done, seen = [], set()

        def visit(node):
            if id(node) not in seen:
                seen.add(id(node))
                for x in node.inputs:
                    visit(x)
                done.append(node)

        visit(self)
        return done


@exercise.mistake(
    "Your slope takes tanh once more, of the result. With y = tanh(a) it is 1 - y², and y is known: it is the result."
)
class TanhTwice(_Right):
    @staticmethod
    def tanh_slope(a, y):
        return 1 - math.tanh(y) ** 2
