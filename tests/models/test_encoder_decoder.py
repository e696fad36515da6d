"""EncoderDecoder: what each position may see, decoding with a cache against none, and the errors that teach."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigpt as mg
from minigpt import functional as F
from minigpt.inspect import capture
from minigpt.models import EncoderDecoder, EncoderDecoderConfig
from minigpt.nn import MultiHeadAttention

V, START, END = 9, 1, 2
SHAPE = {"vocab_size": V, "block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 8, "start_id": START, "end_id": END}


def make(seed=0, spread=3.0, **settings):
    """A model whose next tokens are far from equally likely, and not always what it has just read."""
    model = EncoderDecoder(EncoderDecoderConfig(**{**SHAPE, **settings}), seed=seed)
    for i, p in enumerate(model.parameters()):
        p.data += np.random.default_rng(i).normal(size=p.shape).astype(np.float32) * 0.1 * spread
    return model.eval()


def by_hand(model, source, steps):
    """Greedy: the whole forward pass for each token."""
    written = [START]
    while len(written) <= steps:
        logits, _ = model(np.array([source]), np.array([written]))
        written.append(int(logits.numpy()[0, -1].argmax()))
        if written[-1] == END:
            break
    return written[1:] + [END] * (steps + 1 - len(written))


SOURCES = [[3, 4, 5], [6, 7, 8, 3, 4, 5, 6], [5], [8, 8]]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"norm": "post", "activation": "relu"},
        {"positions": "learned"},
        {"src_vocab_size": 12, "n_decoder_layer": 1},
    ],
)
def test_generate_reads_sources_of_different_lengths_side_by_side(settings):
    different = []
    for seed in range(3):
        model = make(seed, **settings)
        out = model.generate(SOURCES, 8)
        assert (out.shape, out.dtype) == ((4, 8), np.int64)
        for row, source in zip(out, SOURCES, strict=True):
            assert row.tolist() == by_hand(model, source, 8)
        different.append(len({tuple(row) for row in out.tolist()}))
    assert max(different) > 1  # the sources matter


def test_some_targets_end():
    """Or the test above would not show that ended rows are handled."""
    ended = [(model := make(seed)).generate(SOURCES, 8)[:, -1] == END for seed in range(4)]
    assert 0 < np.mean(ended) < 1
    assert model.training is False


def test_the_source_is_read_once(monkeypatch):
    model, made = make(), []
    original = MultiHeadAttention.keys_values
    monkeypatch.setattr(MultiHeadAttention, "keys_values", lambda self, c: made.append(self) or original(self, c))
    model.generate(SOURCES, 8)
    assert made == [block.cross for block in model.decoder]


def test_beam_search_finds_the_likeliest_of_all():
    model, steps = make(spread=2.0), 3
    source = [3, 4, 5]
    every = np.array(list(itertools.product(range(V), repeat=steps)))  # (V^3, 3)
    with mg.no_grad():
        read = np.concatenate([np.full((len(every), 1), START), every[:, :-1]], axis=1)
        logits, _ = model(np.tile(source, (len(every), 1)), read)  # (V^3, 3, V)
    each = np.take_along_axis(F.log_softmax(logits).numpy(), every[..., None], axis=-1)[..., 0]  # (V^3, 3)
    after_end = np.cumsum(every == END, axis=1) - (every == END) > 0  # what follows the end is not written
    row = np.argmax(np.where(after_end, 0, each).sum(axis=1))
    best = np.where(after_end[row], END, every[row])
    out = model.generate([source], steps, beams=V**2, length_penalty=0.0)
    np.testing.assert_array_equal(out[0], best)
    both = model.generate(SOURCES[:2], steps, beams=3)
    np.testing.assert_array_equal(both, [model.generate([s], steps, beams=3)[0] for s in SOURCES[:2]])


def test_sampling():
    model = make(spread=1.0)
    a, b, c = (model.generate(SOURCES, 8, temperature=2.0, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    np.testing.assert_array_equal(model.generate(SOURCES, 8, temperature=1.0, top_k=1), model.generate(SOURCES, 8))
    late = model.generate(SOURCES, 8, temperature=1.0, seed=0, min_new_tokens=8)
    assert not (late == END).any()


def test_later_targets_are_not_seen_and_padding_changes_nothing():
    model = make()
    src, tgt = np.array([[3, 4, 5, 6, 7]]), np.array([[1, 4, 5, 6]])
    logits, _ = model(src, tgt)
    changed = tgt.copy()
    changed[0, 2] = 8
    np.testing.assert_array_equal(model(src, changed)[0].numpy()[:, :2], logits.numpy()[:, :2])
    assert (model(src[:, ::-1], tgt)[0].numpy() != logits.numpy()).all()  # every target looks at the source
    padded, mask = np.concatenate([src, [[8, 8]]], axis=1), np.array([[True] * 5 + [False] * 2])
    np.testing.assert_allclose(model(padded, tgt, src_mask=mask)[0].numpy(), logits.numpy(), atol=1e-5)
    left = model(src, tgt, tgt_mask=np.array([[False, True, True, True]]))[0].numpy()
    assert np.abs(left - logits.numpy()).max() > 1e-3


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=8), min_size=1, max_size=4), st.integers(0, 9))
def test_loss_of_a_batch_is_the_sum_of_its_rows(sources, filler):
    """Whatever the padding holds."""
    model = make()
    lengths = [len(s) for s in sources]
    src = np.full((len(sources), max(lengths)), min(filler, V - 1))
    for row, source in zip(src, sources, strict=True):
        row[: len(source)] = source
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    tgt = np.random.default_rng(filler).integers(0, V, (len(sources), 4))
    targets = np.where(np.arange(4) < (np.array(lengths)[:, None] % 4) + 1, np.roll(tgt, -1, axis=1), -100)
    with mg.no_grad():
        total, count = model.loss_sum(src, tgt, targets, mask)
        alone = [model.loss_sum(np.array([s]), tgt[b : b + 1], targets[b : b + 1]) for b, s in enumerate(sources)]
    assert count == sum(n for _, n in alone)
    assert float(total.item()) == pytest.approx(sum(float(loss.item()) for loss, _ in alone), rel=1e-4)


def test_gradients():
    """Through both stacks, both masks and the tied table."""
    model = make(n_layer=1, n_embd=4, src_vocab_size=6, bias=False, spread=1.0).astype(np.float64)
    src, tgt, targets = np.array([[3, 4, 5], [5, 0, 0]]), np.array([[1, 4], [1, 3]]), np.array([[4, 2], [3, -100]])
    mask = np.array([[True, True, True], [True, False, False]])
    parameters = dict(model.named_parameters())
    chosen = ["src_wte.weight", "wte.weight", "decoder.0.cross.c_attn.weight", "encoder.0.attn.c_attn.weight"]

    def loss(*values):
        for name, value in zip(chosen, values, strict=True):
            owner = model
            for part in name.split(".")[:-1]:
                owner = getattr(owner, part)
            owner.weight = value
        return model.loss_sum(src, tgt, targets, mask)[0]

    assert mg.gradcheck(loss, [mg.Tensor(parameters[name].numpy(), requires_grad=True) for name in chosen])


def test_label_smoothing_is_for_training_only():
    model = make(label_smoothing=0.1)
    batch = {"src": np.array([[3, 4]]), "tgt": np.array([[1, 4]]), "targets": np.array([[4, 2]])}
    logits, loss = model(batch["src"], batch["tgt"], batch["targets"])
    assert loss.item() == pytest.approx(F.cross_entropy(logits, batch["targets"]).item())
    model.train()
    smoothed = F.cross_entropy(logits, batch["targets"], label_smoothing=0.1).item()
    assert model(**batch)[1].item() == pytest.approx(smoothed)
    assert model.loss_sum(**batch)[0].item() == pytest.approx(2 * smoothed)


@pytest.mark.parametrize("settings", [{}, {"positions": "learned", "bias": False}, {"norm": "post", "hidden": 5},
                                      {"src_vocab_size": 4, "n_decoder_layer": 3}])  # fmt: skip
def test_n_parameters(settings):
    model = make(**settings)
    assert model.config.n_parameters() == model.num_parameters()


def test_captured_attention_by_name():
    model = make()
    src, tgt = np.array([[3, 4, 5, 6, 7]]), np.array([[1, 4, 5]])
    plain = model(src, tgt)[0].numpy()
    with capture(model) as acts:
        model(src, tgt)
    assert acts["encoder.1.attn.weights"].shape == (1, 2, 5, 5)
    assert acts["decoder.0.attn.weights"].shape == (1, 2, 3, 3)
    assert acts["decoder.1.cross.weights"].shape == (1, 2, 3, 5)
    np.testing.assert_allclose(acts["decoder.1.cross.weights"].sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(acts["output"], plain, rtol=1e-4, atol=1e-5)


ONE, START_ROW = np.array([[3]]), np.array([[START]])
TWO = np.array([[3, 4]])
ERRORS = {
    "no source tokens": (
        lambda m: m(np.zeros((1, 0), int), START_ROW),
        "the source: ids must be integers .* at least 1",
    ),
    "one source empty": (lambda m: m.generate([[3], []], 4), "prompt 1 must be a list of at least one"),
    "all sources empty": (lambda m: m.generate([[], []], 4), "the source: ids must be integers"),
    "source too long": (
        lambda m: m(np.ones((1, 9), int), START_ROW),
        "the source has 9 tokens, more than block_size = 8",
    ),
    "target too long": (lambda m: m(ONE, np.ones((1, 9), int)), "the target has 9 tokens, more than block_size"),
    "too many to write": (lambda m: m.generate([[3]], 9), "max_new_tokens 9 is more than block_size 8"),
    "mask shape": (
        lambda m: m(TWO, START_ROW, src_mask=np.ones((1, 3), bool)),
        r"src_mask has shape \(1, 3\), needs \(B, S\) = \(1, 2\)",
    ),
    "mask dtype": (lambda m: m(TWO, START_ROW, src_mask=np.ones((1, 2))), "src_mask must be boolean"),
    "only padding": (lambda m: m(TWO, START_ROW, src_mask=np.zeros((1, 2), bool)), "row 0 is empty"),
    "target mask": (lambda m: m(ONE, START_ROW, tgt_mask=np.ones((2, 1), bool)), "tgt_mask has shape"),
    "mask beside lists": (lambda m: m.generate([[3]], src_mask=np.ones((1, 1), bool)), "belongs to an array"),
    "batches": (lambda m: m(np.array([[3], [4]]), START_ROW), "1 targets but 2 sources"),
    "targets": (lambda m: m(ONE, np.array([[1, 4]]), np.array([[4]])), "targets .* must be"),
    "widths": (
        lambda m: m.decode(START_ROW, mg.Tensor(np.ones((1, 3, 6), np.float32))),
        "decoder has width C = 8 .* must be equally wide",
    ),
    "id": (lambda m: m(np.array([[V]]), START_ROW), "9"),
    "drawn beams": (lambda m: m.generate([[3]], beams=2, temperature=1.0), "beam search draws nothing"),
    "config": (lambda m: EncoderDecoder(SHAPE), "needs an EncoderDecoderConfig, got dict"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, message = ERRORS[name]
    with pytest.raises((mg.ShapeError, mg.ArgumentError), match=message):
        call(make())
