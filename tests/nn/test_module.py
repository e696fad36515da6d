"""Module: what is found inside it, saving and loading, switching modes, and how it shows itself."""

import copy

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn, optim


class Pair(nn.Module):
    """Two layers and a parameter of its own, for looking at names and order."""

    def __init__(self, seed=0):
        self.first = nn.Linear(3, 4, rng=seed)
        self.scale = nn.Parameter(np.ones(4, np.float32))
        self.second = nn.Linear(4, 2, bias=False, rng=seed)

    def forward(self, x):
        return self.second(self.first(x) * self.scale)


class Tree(nn.Module):
    """Modules at three depths, with dropout at the bottom."""

    def __init__(self):
        self.layers = nn.ModuleList(Pair(seed) for seed in range(2))
        self.layers[1].drop = nn.Dropout(0.5, rng=0)


def copied_state(module):
    return {name: np.array(p.numpy()) for name, p in module.named_parameters()}


def assert_same_state(module, state):
    assert list(module.state_dict()) == list(state)
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(value, state[name], err_msg=name)


# ---- what is inside


def test_names_and_order():
    """A module's own parameters first, then its submodules in the order in which they were set."""
    names = [name for name, _ in Pair().named_parameters()]
    assert names == ["scale", "first.weight", "first.bias", "second.weight"]
    names = [name for name, _ in Tree().named_parameters()]
    assert names[:2] == ["layers.0.scale", "layers.0.first.weight"]
    assert names[-1] == "layers.1.second.weight"


def test_a_shared_parameter_comes_once():
    module = Pair()
    module.tied = module.scale
    module.again = module.first  # a whole module in two places
    names = [name for name, _ in module.named_parameters()]
    assert names == ["scale", "first.weight", "first.bias", "second.weight"]
    assert module.num_parameters() == 4 + 12 + 4 + 8
    assert len(list(module.parameters())) == len({id(p) for p in module.parameters()})


def test_module_list():
    layers = nn.ModuleList(nn.Linear(2, 2, rng=i) for i in range(12))
    assert len(layers) == 12
    assert [name for name, _ in layers.children()] == [str(i) for i in range(12)]  # 10 after 9, not after 1
    assert layers[-1] is layers[11]
    assert list(layers)[3] is layers[3]
    layers.append(nn.Dropout(0.1))
    assert len(layers) == 13
    with pytest.raises(IndexError):
        layers[13]
    with pytest.raises(mg.ArgumentError, match="holds Modules, got float"):
        layers.append(1.0)


@pytest.mark.parametrize(
    "holder",
    [
        lambda: [nn.Linear(2, 2)],
        lambda: (nn.Linear(2, 2),),
        lambda: [nn.Parameter(np.ones(2, np.float32))],
        lambda: {"a": nn.Linear(2, 2)},
    ],
    ids=["list", "tuple", "list of parameters", "dict"],
)
def test_plain_containers_are_refused(holder):
    """Their contents would be lost to training, without a word."""
    module = nn.Module()
    module.layers = holder()
    with pytest.raises(mg.ArgumentError, match=r"Module\.layers is a plain"):
        list(module.parameters())
    with pytest.raises(mg.ArgumentError):
        module.state_dict()


def test_lists_of_other_things_are_allowed():
    module = Pair()
    module.sizes, module.names = [1, 2], ("a", "b")
    assert len(list(module.parameters())) == 4


def test_forward_must_be_written():
    with pytest.raises(NotImplementedError, match="Module needs a method forward"):
        nn.Module()(1)


# ---- saving and loading


def test_state_dict_is_a_copy():
    module = Pair()
    before = copied_state(module)
    for value in module.state_dict().values():
        value += 1
    assert_same_state(module, before)


def test_load_state_dict_round_trip():
    source, target = Pair(seed=1), Pair(seed=2)
    state = source.state_dict()
    assert target.load_state_dict(state) == ([], [])
    assert_same_state(target, source.state_dict())
    state["scale"] += 1  # what was loaded is a copy too
    assert_same_state(target, source.state_dict())


def test_load_state_dict_keeps_identity_and_dtype():
    """Optimizers hold the Parameters, so loading writes into them; the numbers take the parameter's dtype."""
    module = Pair()
    parameters = list(module.parameters())
    module.load_state_dict({name: value.astype(np.float64) for name, value in Pair(seed=5).state_dict().items()})
    assert all(p is q for p, q in zip(module.parameters(), parameters, strict=True))
    assert {p.dtype for p in parameters} == {np.dtype(np.float32)}


@pytest.mark.parametrize("strict", [True, False])
def test_load_state_dict_wrong_shape(strict):
    module = Pair()
    before = copied_state(module)
    state = {**Pair(seed=9).state_dict(), "second.weight": np.zeros((2, 4), np.float32)}
    with pytest.raises(mg.CheckpointError, match=r"second\.weight: shape \(2, 4\) given, \(4, 2\) needed"):
        module.load_state_dict(state, strict=strict)
    assert_same_state(module, before)  # the tensors that would have fitted were not written either


def test_load_state_dict_lists_every_problem():
    module = Pair()
    before = copied_state(module)
    state = Pair(seed=9).state_dict()
    del state["scale"]
    state["third.weight"] = np.zeros(3, np.float32)
    state["first.bias"] = np.zeros(4, np.int64)
    with pytest.raises(mg.CheckpointError) as caught:
        module.load_state_dict(state)
    for part in (
        "scale: missing (shape (4,))",
        "third.weight: not a parameter of this Pair",
        "first.bias: dtype int64",
    ):
        assert part in str(caught.value)
    assert_same_state(module, before)


def test_load_state_dict_not_strict():
    module, other = Pair(seed=1), Pair(seed=2).state_dict()
    before = copied_state(module)
    missing, unexpected = module.load_state_dict({"scale": other["scale"] * 3, "x": np.zeros(1)}, strict=False)
    assert missing == ["first.weight", "first.bias", "second.weight"]
    assert unexpected == ["x"]
    assert_same_state(module, {**before, "scale": other["scale"] * 3})


def test_loading_counts_as_a_write():
    """A graph that still needs the old values must not silently use the new ones."""
    module = Pair()
    loss = (module.scale * module.scale).sum()
    module.load_state_dict(Pair(seed=3).state_dict())
    with pytest.raises(mg.GraphError, match="load_state_dict"):
        loss.backward()


# ---- switching


def test_train_and_eval_reach_the_bottom():
    tree = Tree()
    assert tree.training
    assert tree.layers[1].drop.training
    assert tree.eval() is tree
    assert not any(module.training for _, module in tree.named_modules())
    assert tree.train() is tree
    assert all(module.training for _, module in tree.named_modules())


def test_zero_grad():
    module = Pair()
    module(np.ones((2, 3), np.float32)).sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    module.zero_grad()
    assert all(p.grad is None for p in module.parameters())


def test_astype_there_and_back():
    module = Pair()
    before = copied_state(module)
    x = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    y = module(x).numpy()
    module(x).sum().backward()
    assert module.astype("float64") is module
    assert {p.dtype for p in module.parameters()} == {np.dtype(np.float64)}
    assert all(p.grad is None for p in module.parameters())
    y64 = module(x.astype(np.float64))
    assert y64.dtype == np.float64
    np.testing.assert_allclose(y64.numpy(), y, rtol=1e-5, atol=1e-6)
    module.astype(np.float32)
    assert_same_state(module, before)  # float32 -> float64 -> float32 loses nothing
    for wrong in (np.float16, np.int64, complex):
        with pytest.raises(mg.ArgumentError, match="float32 or float64"):
            module.astype(wrong)


def test_to_numpy_row():
    module = Pair()
    before = copied_state(module)
    assert module.to("numpy") is module
    assert_same_state(module, before)
    with pytest.raises(mg.BackendError, match="no row 'tpu'"):
        module.to("tpu")


def test_deepcopy_is_independent():
    module = Pair()
    module.tied = module.scale
    twin = copy.deepcopy(module)
    assert twin.tied is twin.scale  # tied in the copy, to the copy
    assert not {id(p) for p in module.parameters()} & {id(p) for p in twin.parameters()}
    before = copied_state(module)
    loss = module(np.ones((1, 3), np.float32)).sum()
    twin(np.ones((1, 3), np.float32)).sum().backward()
    optim.SGD(twin.parameters(), lr=1.0).step()
    assert all(p.grad is None for p in module.parameters())
    assert_same_state(module, before)
    assert any(not np.array_equal(v, before[name]) for name, v in twin.state_dict().items())
    loss.backward()  # writes into the copy are no writes into the original
    assert module.scale.grad is not None


# ---- looking


def test_repr_is_a_tree():
    assert repr(nn.Linear(3, 4)) == "Linear(3 -> 4, bias)"
    tree = Tree()
    lines = repr(tree).splitlines()
    assert lines[0] == "Tree("
    assert lines[1] == "  (layers): ModuleList("
    assert lines[2] == "    (0): Pair("
    assert lines[3] == "      (first): Linear(3 -> 4, bias)"
    assert "      (drop): Dropout(p=0.5)" in lines
    assert repr(tree).count("(") == repr(tree).count(")")


def test_summary():
    module = Tree()
    module.tied = module.layers[0].scale
    lines = module.summary().splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:-1]}
    assert list(rows) == [
        "(self)", "layers.0", "layers.0.first", "layers.0.second", "layers.1", "layers.1.first", "layers.1.second",
    ]  # fmt: skip
    assert " ".join(rows["layers.1.first"]) == "Linear weight (3, 4), bias (4,) 16"
    assert lines[-1].startswith(f"total: {2 * (4 + 12 + 4 + 8)} parameters")
    assert nn.Linear(1000, 1234).summary().splitlines()[-1].startswith("total: 1,235,234 parameters")
