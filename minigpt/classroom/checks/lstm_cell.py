"""ex_lstm_cell: one step of an LSTM, with the parameters of PyTorch."""

import numpy as np

from ... import nn
from ...tensor import Tensor
from ..exercise import Case, Exercise

exercise = Exercise("lstm_cell", outputs=("h_new", "c_new"))


@exercise.reference
def lstm_cell(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    lstm = nn.LSTM(x.shape[1], h.shape[1], rng=0)
    for name, array in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), (weight_ih, weight_hh, bias_ih, bias_hh),
                           strict=True):  # fmt: skip
        getattr(lstm, f"{name}_l0").data = array
    _, (h, c) = lstm(Tensor(x[:, None]), (Tensor(h[None]), Tensor(c[None])))
    return h.numpy()[0], c.numpy()[0]


def _case(label, rng, B, n_in, n, size=1.0, state=1.0, dtype=np.float64):
    shapes = (B, n_in), (B, n), (B, n), (4 * n, n_in), (4 * n, n), (4 * n,), (4 * n,)
    factors = size, state, state, 1.0, 1.0, 1.0, 1.0
    return Case(label, *((f * rng.normal(size=s)).astype(dtype) for s, f in zip(shapes, factors, strict=True)))


@exercise.part("from an empty state", points=2)
def empty(rng):
    yield _case("one text, one unit", rng, 1, 2, 1, state=0.0)
    yield _case("two texts, three units", rng, 2, 2, 3, state=0.0)


@exercise.part("the new cell", points=3, of=["c_new"])
def cell(rng):
    yield _case("one text, one unit", rng, 1, 1, 1)
    yield _case("two texts, two units", rng, 2, 2, 2)
    yield _case("as many inputs as units", rng, 3, 3, 3)


@exercise.part("the new hidden state", points=2, of=["h_new"])
def hidden(rng):
    yield _case("one text, one unit", rng, 1, 1, 1)
    yield _case("two texts, two units", rng, 2, 2, 2)
    yield _case("more inputs than units", rng, 2, 5, 2)


@exercise.part("large numbers")
def large(rng):
    yield _case("inputs in the thousands", rng, 4, 2, 5, size=2000.0)


@exercise.part("float32 stays float32")
def single(rng):
    yield _case("float32", rng, 2, 3, 2, dtype=np.float32)


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _gates(x, h, weight_ih, weight_hh, biases, order="ifgo", activations=None):
    """The four gates by name, cut from the rows in that order."""
    a = x @ weight_ih.T + h @ weight_hh.T + biases  # (B, 4n)
    parts = dict(zip(order, np.split(a, 4, axis=-1), strict=True))
    activations = activations or {}
    return {name: activations.get(name, np.tanh if name == "g" else _sigmoid)(part) for name, part in parts.items()}


def _step(gates, c):
    c = gates["f"] * c + gates["i"] * gates["g"]
    return gates["o"] * np.tanh(c), c


@exercise.mistake(
    "Your gates stand in another order, i f o g. In PyTorch's matrices the rows are i, f, g, o: the candidate comes "
    "third, the output gate last."
)
def order_ifog(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    return _step(_gates(x, h, weight_ih, weight_hh, bias_ih + bias_hh, "ifog"), c)


@exercise.mistake(
    "Your gates stand in another order, with the forget gate first. In PyTorch's matrices the rows are i, f, g, o: the "
    "input gate comes first."
)
def order_figo(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    return _step(_gates(x, h, weight_ih, weight_hh, bias_ih + bias_hh, "figo"), c)


@exercise.mistake(
    "The gates are taken in turns, every fourth row. The rows lie in blocks: the first `hidden` rows are all of the "
    "input gate, and so on."
)
def interleaved(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    a = x @ weight_ih.T + h @ weight_hh.T + bias_ih + bias_hh
    i, f, g, o = (a[:, n::4] for n in range(4))
    return _step({"i": _sigmoid(i), "f": _sigmoid(f), "g": np.tanh(g), "o": _sigmoid(o)}, c)


@exercise.mistake(
    "The candidate g went through the sigmoid like the gates. It is what is written into the cell and may be negative: "
    "tanh. With the sigmoid nothing could be taken from the cell."
)
def candidate_by_sigmoid(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    return _step(_gates(x, h, weight_ih, weight_hh, bias_ih + bias_hh, activations={"g": _sigmoid}), c)


@exercise.mistake(
    "The gates went through tanh. A gate is a share from 0 (shut) to 1 (open): sigmoid; only the candidate is a tanh."
)
def gates_by_tanh(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    activations = dict.fromkeys("ifgo", np.tanh)
    return _step(_gates(x, h, weight_ih, weight_hh, bias_ih + bias_hh, activations=activations), c)


@exercise.mistake("h is the cell seen through the output gate, o * tanh(c); yours is o * c, without the tanh.")
def without_tanh(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    gates = _gates(x, h, weight_ih, weight_hh, bias_ih + bias_hh)
    _, c = _step(gates, c)
    return gates["o"] * c, c


@exercise.mistake("h shows the old cell. It must be computed from the new one: h_new = o * tanh(c_new).")
def from_the_old_cell(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    gates = _gates(x, h, weight_ih, weight_hh, bias_ih + bias_hh)
    return gates["o"] * np.tanh(c), _step(gates, c)[1]


@exercise.mistake(
    "The old cell is kept whole: the forget gate is missing from c_new = f * c + i * g. The cell could never drop "
    "anything."
)
def never_forgets(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    return _step(_gates(x, h, weight_ih, weight_hh, bias_ih + bias_hh) | {"f": 1.0}, c)


@exercise.mistake(
    "The candidate is written whole: the input gate is missing from c_new = f * c + i * g, so nothing can be ignored."
)
def takes_all_in(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    return _step(_gates(x, h, weight_ih, weight_hh, bias_ih + bias_hh) | {"i": 1.0}, c)


@exercise.mistake("You keep 1 - f of the old cell. In spite of its name the forget gate says how much is kept: f * c.")
def forgets_f(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    gates = _gates(x, h, weight_ih, weight_hh, bias_ih + bias_hh)
    return _step(gates | {"f": 1 - gates["f"]}, c)


@exercise.mistake(
    "Only one of the two biases is added. PyTorch keeps one for the input and one for the state, and adds both."
)
def one_bias(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    return _step(_gates(x, h, weight_ih, weight_hh, bias_ih), c)


@exercise.mistake(
    "The old hidden state has no effect: h @ weight_hh.T is missing, so the gates know only the present input."
)
def without_state(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    return _step(_gates(x, np.zeros_like(h), weight_ih, weight_hh, bias_ih + bias_hh), c)


@exercise.mistake(
    "The gates look at the cell where they should look at the hidden state: h @ weight_hh.T. The cell is read only "
    "through the output gate."
)
def gates_of_the_cell(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    return _step(_gates(x, c, weight_ih, weight_hh, bias_ih + bias_hh), c)


@exercise.mistake("The two states are returned in the wrong order: h first, then c.")
def states_exchanged(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    return _step(_gates(x, h, weight_ih, weight_hh, bias_ih + bias_hh), c)[::-1]


@exercise.mistake(
    "exp(a) / (1 + exp(a)) is inf / inf = nan for a large a. 1 / (1 + exp(-a)) is the same and goes to 1 there."
)
def sigmoid_overflows(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    def sigmoid(a):
        return np.exp(a) / (1 + np.exp(a))

    activations = dict.fromkeys("ifo", sigmoid)
    return _step(_gates(x, h, weight_ih, weight_hh, bias_ih + bias_hh, activations=activations), c)
