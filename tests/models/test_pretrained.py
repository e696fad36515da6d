"""save_pretrained and from_pretrained: bit for bit, in the layout of Hugging Face's GPT-2, and damaged files."""

import json
import struct
import warnings

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import minigpt as mg
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer

CONFIG = GPTConfig(7, 6, 2, 2, 8)
IDS = np.array([[0, 3, 6, 1]])
TOKENIZER = CharTokenizer.train("abcdefg")


def make_model(config=CONFIG, seed=1, dtype=np.float32):
    model = GPT(config, seed=seed)
    rng = np.random.default_rng(seed)
    for p in model.parameters():
        p.data += rng.normal(size=p.shape).astype(p.dtype) * 0.3
    return model.astype(dtype)


def assert_same_model(a, b):
    assert a.config == b.config
    x, y = a.state_dict(), b.state_dict()
    assert list(x) == list(y)
    for name in x:
        assert x[name].dtype == y[name].dtype
        np.testing.assert_array_equal(x[name], y[name], err_msg=name)
    np.testing.assert_array_equal(a.eval()(IDS)[0].numpy(), b.eval()(IDS)[0].numpy())


def change_config(folder, **values):
    path = folder / "config.json"
    config = {**json.loads(path.read_text(encoding="utf-8")), **values}
    path.write_text(json.dumps({k: v for k, v in config.items() if v != "remove"}), encoding="utf-8")


def change_tensors(folder, change):
    """Rewrite model.safetensors with the dictionary that `change` returns."""
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")


@pytest.fixture
def folder(tmp_path):
    make_model().save_pretrained(tmp_path)
    return tmp_path


# ---- round trip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bias", [True, False])
def test_round_trip(tmp_path, bias, dtype):
    model = make_model(GPTConfig(7, 6, 2, 2, 8, dropout=0.25, bias=bias, layer_norm_eps=1e-4), dtype=dtype)
    model.save_pretrained(tmp_path / "new" / "folder")
    assert_same_model(GPT.from_pretrained(tmp_path / "new" / "folder"), model)
    assert_same_model(GPT.from_pretrained(str(tmp_path / "new" / "folder")), model)


def test_saving_again_replaces_the_model(folder):
    other = make_model(GPTConfig(9, 5, 1, 1, 4), seed=2)
    other.save_pretrained(folder)
    loaded = GPT.from_pretrained(folder)
    assert loaded.config == other.config
    loaded.save_pretrained(folder)  # into the folder it came from
    assert GPT.from_pretrained(folder).config == other.config
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_the_loaded_model_stands_alone(folder):
    """Nothing of the file stays mapped: it may be overwritten, and the parameters may be trained."""
    a, b = GPT.from_pretrained(folder), GPT.from_pretrained(folder)
    a.wte.weight.data += 1
    assert_same_model(b, GPT.from_pretrained(folder))


def test_values_that_are_no_numbers_survive(tmp_path):
    """A diverged model can be saved and looked at."""
    model = make_model()
    model.wte.weight.data[0, :2] = np.nan, np.inf
    model.save_pretrained(tmp_path)
    np.testing.assert_array_equal(GPT.from_pretrained(tmp_path).wte.weight.numpy(), model.wte.weight.numpy())


# ---- the tokenizer


def test_with_a_tokenizer(tmp_path):
    model = make_model()
    model.tokenizer = TOKENIZER
    model.save_pretrained(tmp_path)
    tokenizer = GPT.from_pretrained(tmp_path).tokenizer
    assert isinstance(tokenizer, CharTokenizer)
    assert tokenizer.characters == "abcdefg"


def test_without_a_tokenizer(folder):
    for model in (make_model(), GPT.from_pretrained(folder)):
        with pytest.raises(mg.TokenizerError, match=r"Set model\.tokenizer = tok"):
            _ = model.tokenizer


def test_an_old_tokenizer_does_not_attach_itself(tmp_path):
    """A model without a tokenizer, saved where one with another lay, must not come back with that one."""
    model = make_model()
    model.tokenizer = TOKENIZER
    model.save_pretrained(tmp_path)
    make_model(seed=2).save_pretrained(tmp_path)
    with pytest.raises(mg.TokenizerError):
        _ = GPT.from_pretrained(tmp_path).tokenizer


def test_a_tokenizer_that_is_too_large():
    with pytest.raises(mg.ArgumentError, match="the tokenizer knows 8 tokens, the model only 7"):
        make_model().tokenizer = CharTokenizer.train("abcdefgh")


# ---- files of others


def test_files_in_the_layout_of_hugging_face(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "gpt2"
    assert config["architectures"] == ["GPT2LMHeadModel"]
    assert (config["n_positions"], config["n_ctx"], config["n_layer"], config["layer_norm_epsilon"]) == (6, 6, 2, 1e-5)
    assert config["activation_function"] == "gelu_new"
    tensors = load_file(folder / "model.safetensors")
    assert set(tensors) == {f"transformer.{name}" for name, _ in make_model().named_parameters()}


def test_names_without_prefix_buffers_and_equal_head(folder):
    """What the public GPT-2 files look like: no prefix, causal masks stored along, the head written out."""

    def as_published(tensors):
        tensors = {name.removeprefix("transformer."): a for name, a in tensors.items()}
        for i in range(2):
            tensors[f"h.{i}.attn.bias"] = np.tri(6, dtype=np.float32)[None, None]
            tensors[f"h.{i}.attn.masked_bias"] = np.array(-1e4, np.float32)
        return {**tensors, "lm_head.weight": tensors["wte.weight"].copy()}

    change_tensors(folder, as_published)
    assert_same_model(GPT.from_pretrained(folder), make_model())


def test_a_config_without_our_own_part(folder):
    change_config(folder, minigpt="remove", resid_pdrop=0.1, attn_pdrop=0.1, embd_pdrop=0.1)
    config = GPT.from_pretrained(folder).config
    assert (config.bias, config.dropout) == (True, 0.1)


def test_half_precision_becomes_float32(folder):
    expected = {n: a.astype(np.float16).astype(np.float32) for n, a in make_model().state_dict().items()}
    change_tensors(folder, lambda tensors: {name: a.astype(np.float16) for name, a in tensors.items()})
    state = GPT.from_pretrained(folder).state_dict()
    for name, value in expected.items():
        assert state[name].dtype == np.float32
        np.testing.assert_array_equal(state[name], value)


def write_bfloat16(folder):
    """The same weights in bfloat16, the upper half of each float32, which NumPy has no type for."""
    tensors = load_file(folder / "model.safetensors")
    header, data = {}, b""
    for name, a in tensors.items():
        raw = (a.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": a.shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_bfloat16_becomes_float32(folder):
    """Many published checkpoints are in bfloat16."""
    write_bfloat16(folder)
    expected = {n: (a.view("<u4") >> 16 << 16).view("<f4") for n, a in make_model().state_dict().items()}
    state = GPT.from_pretrained(folder).state_dict()
    for name, value in expected.items():
        assert state[name].dtype == np.float32
        np.testing.assert_array_equal(state[name], value)


def test_biases_that_came_back(tmp_path):
    """Transformers gives a bias-free model zero biases and writes them into the folder; it can still be read."""
    model = make_model(GPTConfig(7, 6, 2, 2, 8, bias=False))
    model.save_pretrained(tmp_path)
    biased = GPT(CONFIG).state_dict()
    zeros = {f"transformer.{n}": np.zeros_like(a) for n, a in biased.items() if n.endswith(".bias")}
    change_tensors(tmp_path, lambda tensors: {**tensors, **zeros})
    np.testing.assert_allclose(GPT.from_pretrained(tmp_path)(IDS)[0].numpy(), model(IDS)[0].numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "values",
    [{"scale_attn_by_inverse_layer_idx": True}, {"scale_attn_weights": False}],
    ids=lambda values: next(iter(values)),
)
def test_variants_that_compute_something_else(folder, values):
    """The tensors fit, but the formula is another: the logits would be wrong without a word."""
    change_config(folder, **values)
    with pytest.raises(mg.CheckpointError, match=next(iter(values))):
        GPT.from_pretrained(folder)


# ---- damaged folders


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {**t, "lm_head.weight": t["transformer.wte.weight"] + 1}, "lm_head.weight differs from wte.weight"),
        (lambda t: {n: a for n, a in t.items() if "h.1.mlp.c_fc.bias" not in n}, r"h\.1\.mlp\.c_fc\.bias: missing"),
        (lambda t: {**t, "transformer.h.2.ln_1.weight": np.ones(8)}, r"h\.2\.ln_1\.weight: not a parameter"),
        (
            lambda t: {**t, "transformer.wpe.weight": np.ones((5, 8))},
            r"wpe\.weight: shape \(5, 8\) given, \(6, 8\) needed",
        ),
        (lambda t: {**t, "transformer.ln_f.bias": np.ones(8, int)}, r"ln_f\.bias: dtype I64 is not one of F64"),
        (lambda t: {"x": np.ones(1)}, r"wte\.weight: missing"),
    ],
    ids=["other head", "missing", "unexpected", "shape", "dtype", "another file"],
)
def test_wrong_tensors(folder, change, message):
    change_tensors(folder, change)
    with pytest.raises(mg.CheckpointError, match=message):
        GPT.from_pretrained(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "bert"}, "model_type is 'bert', a GPT needs 'gpt2'"),
        ({"model_type": "remove"}, "model_type is None"),
        ({"n_positions": "remove"}, "n_positions"),
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"n_head": 3}, "not divisible by n_head 3"),
        ({"n_layer": 2.5}, "n_layer must be a positive integer, got 2.5"),
        ({"n_layer": 3}, r"h\.2\.ln_1\.weight: missing"),
        ({"vocab_size": 8}, r"wte\.weight: shape \(7, 8\) given, \(8, 8\) needed"),
        ({"layer_norm_epsilon": "small"}, "layer_norm_eps"),
        ({"minigpt": {"dropout": "none"}}, "dropout"),
        ({"minigpt": None}, "minigpt"),
        ({"minigpt": [1]}, "minigpt"),
    ],
    ids=str,
)
def test_wrong_config(folder, values, message):
    change_config(folder, **values)
    with pytest.raises(mg.CheckpointError, match=message):
        GPT.from_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_and_truncated_files(folder, name):
    path = folder / name
    content = path.read_bytes()
    for length in (0, 1, 7, 8, 20, len(content) // 2, len(content) - 2):
        path.write_bytes(content[:length])
        with pytest.raises(mg.CheckpointError, match="cannot read .*" + name.replace(".", r"\.")):
            GPT.from_pretrained(folder)
    path.write_bytes(b"\xff" * len(content))
    with pytest.raises(mg.CheckpointError, match="cannot read"):
        GPT.from_pretrained(folder)
    path.unlink()
    with pytest.raises(mg.CheckpointError, match=f"{name} is missing"):
        GPT.from_pretrained(folder)
    path.write_bytes(content)
    assert_same_model(GPT.from_pretrained(folder), make_model())


def test_no_folder(tmp_path):
    with pytest.raises(mg.CheckpointError, match="no checkpoint folder"):
        GPT.from_pretrained(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(mg.CheckpointError, match="cannot make the folder"):
        make_model().save_pretrained(tmp_path / "file")


def test_saving_is_quiet_and_changes_nothing(tmp_path):
    model = make_model().train()
    before = model.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.save_pretrained(tmp_path)
    assert model.training
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


# ---- special tokens in config.json


@pytest.mark.parametrize(
    ("special", "begin", "end"),
    [(None, None, None), ([], None, None), (["<x>"], None, None), (["<eot>"], 7, 7), (["<start>", "<end>"], 7, 8)],
    ids=str,
)
def test_ids_that_begin_and_end_a_text(tmp_path, special, begin, end):
    """Transformers' generate stops at eos_token_id."""
    model = make_model(GPTConfig(9, 6, 2, 2, 8))
    if special is not None:
        model.tokenizer = CharTokenizer.train("abcdefg", special_tokens=special)
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert (config["bos_token_id"], config["eos_token_id"]) == (begin, end)
