"""ex_lora: a frozen linear layer, plus a product of two thin matrices that learns, and can be merged."""

import numpy as np

from ... import nn
from ...errors import ShapeError
from ...nn.lora import LoRALinear
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("lora", answer="LoRA",
                    outputs=("start", "learns", "trainable", "y", "dA", "dB", "W", "merged"))  # fmt: skip


@exercise.runner
def run(answer, weight, bias, alpha, A, B, x, merges=0):
    """A layer made anew, then with A and B in it, then merged so many times."""
    n_in, n_out = weight.shape
    base = nn.Linear(n_in, n_out, bias=bias is not None, rng=0)
    base.weight.data = weight.copy()
    if base.bias is not None:
        base.bias.data = bias.copy()
    layer = answer(base, A.shape[1], alpha, np.random.default_rng(1))
    start = layer(Tensor(x))  # (..., out)
    start.sum().backward()
    learns = any(p.grad is not None and bool(np.any(p.grad)) for p in (layer.lora_a, layer.lora_b))
    for name, array in (("lora_a", A), ("lora_b", B)):
        tensor = getattr(layer, name)
        if tensor.shape != array.shape:
            wanted = "(in, rank)" if name == "lora_a" else "(rank, out)"
            raise ShapeError(f"{name} has shape {tensor.shape}, needs {wanted} = {array.shape}")
        tensor.data, tensor.grad = array.copy(), None
    y = layer(Tensor(x))  # (..., out)
    (y * y).sum().backward()
    trainable = ", ".join(sorted(name for name, p in layer.named_parameters() if p.requires_grad))
    dA, dB = layer.lora_a.grad, layer.lora_b.grad
    for _ in range(merges):
        layer.merge()
    W, merged = (base.weight.numpy(), layer(Tensor(x)).numpy()) if merges else (None, None)
    return start.numpy(), learns, trainable, y.numpy(), dA, dB, W, merged


@exercise.reference
def right(base, rank, alpha, rng):
    return LoRALinear(base, rank, alpha, rng)


def _case(label, rng, n_in, n_out, rank, alpha, bias=True, shape=(2,), dtype=np.float64, **settings):
    shapes = (n_in, n_out), (n_out,), (n_in, rank), (rank, n_out), (*shape, n_in)
    weight, b, A, B, x = (rng.normal(size=size).astype(dtype) for size in shapes)
    return Case(label, weight, b if bias else None, alpha, A, B, x, **settings)


@exercise.part("at first the output is that of the base", of=["start"])
def start(rng):
    yield _case("rank 1", rng, 3, 4, 1, 2.0)
    yield _case("rank 2, (B, T, C), no bias", rng, 3, 3, 2, 1.0, bias=False, shape=(2, 2))


@exercise.part("what learns", points=2, of=["learns", "trainable"])
def what_learns(rng):
    yield _case("rank 2", rng, 3, 4, 2, 4.0)
    yield _case("no bias", rng, 3, 2, 1, 1.0, bias=False)


@exercise.part("forward", points=2, of=["y"])
def forward(rng):
    yield _case("rank 1, alpha 1", rng, 2, 3, 1, 1.0)
    yield _case("rank 2, alpha 6", rng, 3, 4, 2, 6.0)
    yield _case("rank 3, alpha 1, (B, T, C), no bias", rng, 3, 3, 3, 1.0, bias=False, shape=(2, 2))


@exercise.part("gradients of A and B", of=["dA", "dB"])
def gradients(rng):
    yield _case("rank 2, alpha 6", rng, 3, 4, 2, 6.0)


@exercise.part("merged", points=2, of=["W", "merged"])
def merged(rng):
    yield _case("merged, rank 2, alpha 6", rng, 3, 4, 2, 6.0, merges=1)
    yield _case("merged twice", rng, 3, 2, 1, 2.0, merges=2)


@exercise.part("float32 stays float32", of=["start", "y", "W", "merged"])
def single(rng):
    yield _case("float32", rng, 3, 4, 2, 1.0, dtype=np.float32, merges=1)


class _LoRA(nn.Module):
    """Right; the mistakes change one thing each."""

    def __init__(self, base, rank, alpha, rng):
        self.base, self.rank, self.alpha, self.merged = base, rank, alpha, False
        self.freeze()
        dtype, (n_in, n_out) = base.weight.dtype, base.weight.shape
        self.lora_a = nn.Parameter(rng.uniform(-1, 1, size=(n_in, rank)).astype(dtype) * n_in**-0.5)
        self.lora_b = nn.Parameter(np.zeros((rank, n_out), dtype))

    def freeze(self):
        for p in self.base.parameters():
            p.requires_grad = False

    def scale(self):
        return self.alpha / self.rank

    def forward(self, x):
        y = self.base(x)
        return y if self.merged else y + self.correction(x)

    def correction(self, x):
        return (x @ self.lora_a) @ self.lora_b * self.scale()

    def product(self):
        return self.lora_a.numpy() @ self.lora_b.numpy() * self.scale()

    def merge(self):
        if not self.merged:
            self.base.weight.data = self.base.weight.numpy() + self.product()
            self.merged = True


@exercise.mistake(
    "The correction is not scaled by alpha / rank. With the scale, a run with another rank needs no other learning "
    "rate."
)
class Unscaled(_LoRA):
    def scale(self):
        return 1.0


@exercise.mistake(
    "You scaled by alpha alone. A @ B is a sum of `rank` products and grows with the rank; divided by the rank it "
    "stays as large as it was."
)
class NotDividedByRank(_LoRA):
    def scale(self):
        return self.alpha


@exercise.mistake("Your scale is upside down: it is alpha / rank, so that a larger alpha makes a larger correction.")
class UpsideDown(_LoRA):
    def scale(self):
        return self.rank / self.alpha


@exercise.mistake(
    "B begins with random numbers, so the tuned model begins as another model than the one that was trained. With B ="
    " 0 the correction is 0 at first, and only then grows."
)
class RandomB(_LoRA):
    def __init__(self, base, rank, alpha, rng):
        super().__init__(base, rank, alpha, rng)
        self.lora_b = nn.Parameter(self.lora_b.numpy() + 0.5)


@exercise.mistake(
    "A and B are both 0 at first, and stay so: the gradient of A is multiplied by B, that of B by A. One of them must"
    " be random; it is A."
)
class BothZero(_LoRA):
    def __init__(self, base, rank, alpha, rng):
        super().__init__(base, rank, alpha, rng)
        self.lora_a = nn.Parameter(np.zeros_like(self.lora_a.numpy()))


@exercise.mistake(
    "The base still learns: its parameters have requires_grad=True, so the optimizer keeps their moments in memory, "
    "which LoRA is to save, and changes the matrix that all adapters share."
)
class BaseLearns(_LoRA):
    def freeze(self):
        self.base.requires_grad = False  # of the module; its parameters do not care


@exercise.mistake("Only the weight of the base is frozen; its bias belongs to the base too, and must not learn.")
class BiasLearns(_LoRA):
    def freeze(self):
        self.base.weight.requires_grad = False


@exercise.mistake(
    "A and B are Tensors, not nn.Parameters, so `parameters()` does not list them: the optimizer never sees them, and "
    "they are not saved either."
)
class NoParameters(_LoRA):
    def __init__(self, base, rank, alpha, rng):
        super().__init__(base, rank, alpha, rng)
        a, b = self.lora_a.numpy(), self.lora_b.numpy()
        del self.lora_a, self.lora_b
        self.__dict__ |= {"lora_a": Tensor(a, requires_grad=True), "lora_b": Tensor(b, requires_grad=True)}


@exercise.mistake("The base's bias is missing: the layer is base(x), bias included, plus the correction.")
class WithoutBias(_LoRA):
    def forward(self, x):
        y = x @ self.base.weight
        return y if self.merged else y + self.correction(x)


@exercise.mistake(
    "The correction alone comes out: x @ W + bias of the base is missing. LoRA adds to the base's output."
)
class CorrectionOnly(_LoRA):
    def forward(self, x):
        return self.correction(x)


@exercise.mistake(
    "merge() leaves out the scale alpha / rank, so the merged layer computes something else than the one that was "
    "trained."
)
class MergedUnscaled(_LoRA):
    def product(self):
        return self.lora_a.numpy() @ self.lora_b.numpy()


@exercise.mistake(
    "After merge() the correction counts twice: it is in the matrix now, and forward still adds it. Remember that the "
    "layer is merged."
)
class CountedTwice(_LoRA):
    def forward(self, x):
        return self.base(x) + self.correction(x)


@exercise.mistake(
    "A second merge() adds the correction again. Merging what is merged must change nothing; the layer has to remember."
)
class MergedTwice(_LoRA):
    def merge(self):
        self.base.weight.data = self.base.weight.numpy() + self.product()
        self.merged = True


@exercise.mistake(
    "merge() puts the correction in place of the base's matrix; the merged matrix is their sum, W + s A @ B."
)
class Replaced(_LoRA):
    def merge(self):
        if not self.merged:
            self.base.weight.data = self.product()
            self.merged = True
