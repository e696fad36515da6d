"""GPT.generate: greedy by hand, with and without the cache, past the context, and what it leaves behind."""

import warnings

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn
from minigpt.backend import load
from minigpt.decoding import KVCache
from minigpt.decoding.sampling import softmax
from minigpt.models import GPT, GPTConfig

V, T, L, H, C = 13, 12, 2, 2, 16


def make_model(dtype=np.float32, dropout=0.0, seed=0):
    """Weights large enough that the next token depends on all that came before."""
    model = GPT(GPTConfig(V, T, L, H, C, dropout=dropout), seed=seed)
    rng = np.random.default_rng(seed)
    for p in model.parameters():
        p.data += rng.normal(size=p.shape).astype(p.dtype) * 0.3
    return model.astype(dtype)


MODEL = make_model()
PROMPT = np.random.default_rng(1).integers(0, V, (3, 4))


def greedy_by_hand(model, ids, new):
    """The likeliest token after the last block_size tokens, appended, again."""
    for _ in range(new):
        logits, _ = model(ids[:, -T:])
        ids = np.concatenate([ids, logits.numpy()[:, -1].argmax(-1)[:, None]], axis=1)
    return ids


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy(use_cache, dtype):
    model = make_model(dtype)
    ids = model.generate(PROMPT, T - 4, temperature=0, use_cache=use_cache)
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids, greedy_by_hand(model, PROMPT, T - 4))
    assert len({tuple(row[4:]) for row in ids}) == 3  # the rows do differ


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cached_logits_equal_plain_ones(dtype):
    model, ids = make_model(dtype), np.random.default_rng(2).integers(0, V, (3, T))
    plain = model(ids)[0].numpy()
    tolerance = (1e-5 if dtype == np.float32 else 1e-12) * np.abs(plain).max()
    for pieces in ([1] * T, [5, 1, 1, 5], [T]):
        cache, start = KVCache(load("numpy"), L, 3, H, T, C // H, dtype), 0
        with mg.no_grad():
            for n in pieces:
                logits, _ = model(ids[:, start : start + n], cache=cache)
                np.testing.assert_allclose(logits.numpy(), plain[:, start : start + n], rtol=0, atol=tolerance)
                start += n
        assert cache.length == T
        with pytest.raises(mg.ShapeError, match="13 tokens are more than block_size = 12"):
            model(ids[:, :1], cache=cache)


@pytest.mark.parametrize("use_cache", [True, False])
def test_past_the_context(use_cache):
    """The window slides, the cache is given up, and one warning says so, at the caller's line."""
    with pytest.warns(UserWarning, match="grown past the context; the model sees the last 12 tokens") as caught:
        ids = MODEL.generate(PROMPT, 25, temperature=0, use_cache=use_cache)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(ids, greedy_by_hand(MODEL, PROMPT, 25))


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("temperature", [0, 1.0])
def test_prompt_longer_than_the_context(temperature, use_cache):
    prompt = np.random.default_rng(3).integers(0, V, (2, T + 5))
    settings = {"temperature": temperature, "seed": 4, "use_cache": use_cache}
    with pytest.warns(UserWarning, match="the prompt has 17 tokens; the model sees the last 12") as caught:
        ids = MODEL.generate(prompt, 6, **settings)
    assert len(caught) == 1
    np.testing.assert_array_equal(ids[:, : T + 5], prompt)
    with pytest.warns(UserWarning, match="grown past"):
        short = MODEL.generate(prompt[:, -T:], 6, **settings)
    np.testing.assert_array_equal(ids[:, 5:], short)


def test_up_to_the_context_there_is_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert MODEL.generate(PROMPT, T - 4).shape == (3, T)
        full = np.random.default_rng(3).integers(0, V, (1, T))
        assert MODEL.generate(full, 1).shape == (1, T + 1)  # all T tokens are read, one is written
        assert MODEL.generate(full, 0).shape == (1, T)


# ---- the end of a text


@pytest.mark.parametrize("use_cache", [True, False])
def test_rows_end_one_by_one(use_cache):
    """Up to its first eos a row is as without eos; after it there is only eos; the shape never changes."""
    free = MODEL.generate(PROMPT, 8, temperature=0)
    eos = int(free[0, 6])
    ids = MODEL.generate(PROMPT, 8, temperature=0, eos_id=eos, use_cache=use_cache)
    assert ids.shape == (3, 12)
    for row, free_row in zip(ids, free, strict=True):
        hits = np.flatnonzero(free_row[4:] == eos)
        end = 4 + (hits[0] + 1 if len(hits) else 8)
        np.testing.assert_array_equal(row[:end], free_row[:end])
        assert np.all(row[end:] == eos)
    assert ids[0, 7:].tolist() == [eos] * 5


def test_all_rows_ended():
    eos = int(MODEL.generate(PROMPT[:1], 1, temperature=0)[0, -1])
    ids = MODEL.generate(PROMPT[:1], 30, temperature=0, eos_id=eos)  # ends before the context is full: no warning
    assert ids[0, 4:].tolist() == [eos] * 30


def test_eos_in_the_prompt_does_not_end_it():
    prompt = PROMPT[:1]
    ids = MODEL.generate(prompt, 3, temperature=0, eos_id=int(prompt[0, -1]))
    assert ids[0, 4] == greedy_by_hand(MODEL, prompt, 1)[0, 4]


# ---- settings


@pytest.mark.parametrize("settings", [{"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-6}, {"temperature": 1e-310}])
def test_narrow_sampling_is_greedy(settings):
    greedy = MODEL.generate(PROMPT, 8, temperature=0)
    np.testing.assert_array_equal(MODEL.generate(PROMPT, 8, seed=5, **settings), greedy)


def test_seeds():
    a, b, c = (MODEL.generate(PROMPT, 8, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(MODEL.generate(PROMPT, 8, seed=rng), a)
    assert not np.array_equal(MODEL.generate(PROMPT, 8, seed=rng), a)  # a generator moves on
    fresh = [MODEL.generate(PROMPT, 8) for _ in range(2)]
    assert not np.array_equal(*fresh)
    np.testing.assert_array_equal(MODEL.generate(PROMPT, 8, seed=1, use_cache=False), a)


@pytest.mark.parametrize(("settings", "temperature"), [({}, 1.0), ({"temperature": 0.6}, 0.6), ({"top_k": 4}, 1.0)])
def test_samples_follow_the_softmax(settings, temperature):
    """20,000 draws of one next token: chi-square against softmax(logits / temperature), filtered and normalised."""
    model = GPT(GPTConfig(V, T, L, H, C), seed=0)  # a flat start: every token is drawn often
    logits = model(PROMPT[:1])[0].numpy()[0, -1].astype(np.float64) * 1.0
    p = softmax(logits[None] / temperature)[0]
    if "top_k" in settings:
        p[np.argsort(p)[:-4]] = 0
    p /= p.sum()
    n = 20_000
    drawn = model.generate(np.repeat(PROMPT[:1], n, axis=0), 1, seed=6, **settings)[:, -1]
    counts = np.bincount(drawn, minlength=V)
    assert counts[p == 0].sum() == 0
    p, counts = p[p > 0], counts[p > 0]
    chi_square = ((counts - n * p) ** 2 / (n * p)).sum()
    assert chi_square < 40  # 12 degrees of freedom or fewer: beyond 40 lies less than one run in 10,000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": None}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_k": 0}, "top_k is an integer from 1 to the vocabulary size 13, got 0"),
        ({"top_k": V + 1}, "top_k"),
        ({"top_k": 2.0}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_p": float("nan")}, "top_p"),
        ({"top_p": "0.9"}, "top_p"),
        ({"max_new_tokens": -1}, "max_new_tokens is an integer from 0 up, got -1"),
        ({"max_new_tokens": 2.0}, "max_new_tokens"),
        ({"seed": -1}, "seed"),
        ({"seed": "a"}, "seed"),
        ({"eos_id": V}, "eos_id"),
        ({"eos_id": 1.5}, "eos_id"),
    ],
    ids=str,
)
def test_wrong_settings(settings, message):
    with pytest.raises(mg.ArgumentError, match=message):
        MODEL.generate(PROMPT, **{"max_new_tokens": 2, **settings})


@pytest.mark.parametrize(
    "ids", [PROMPT[0], PROMPT[None], np.zeros((1, 0), int), PROMPT * 1.0, "hello", [[1, 2], [3]], [[]]],
    ids=["1-D", "3-D", "empty", "float", "text", "ragged", "empty list"],
)  # fmt: skip
def test_wrong_prompts(ids):
    with pytest.raises(mg.ShapeError, match=r"ids must be integers \(B, T\)"):
        MODEL.generate(ids, 2)


@pytest.mark.parametrize("wrong", [V, -1])
def test_prompt_out_of_range(wrong):
    ids = PROMPT.copy()
    ids[2, 1] = wrong
    with pytest.raises(mg.ArgumentError, match=rf"id {wrong} at index \(2, 1\)"):
        MODEL.generate(ids, 2)


def test_prompts_as_lists_and_small_integers():
    expected = MODEL.generate(PROMPT, 3, temperature=0)
    for ids in (PROMPT.tolist(), PROMPT.astype(np.uint8), mg.Tensor(PROMPT)):
        np.testing.assert_array_equal(MODEL.generate(ids, 3, temperature=0), expected)


# ---- what it leaves behind


def test_prompt_is_not_written_to_and_nothing_is_shared():
    prompt = PROMPT.copy()
    ids = MODEL.generate(prompt, 0)
    ids[:] = 0
    np.testing.assert_array_equal(prompt, PROMPT)


@pytest.mark.parametrize("training", [True, False])
def test_modes_come_back(training):
    """Evaluation mode and no gradients inside, whatever was set before afterwards, also when it fails."""
    model = make_model(dropout=0.5).train(training)
    expected = model.eval().generate(PROMPT, 5, temperature=0)
    model.train(training)
    np.testing.assert_array_equal(model.generate(PROMPT, 5, temperature=0), expected)  # no dropout inside
    for wrong in (lambda: model.generate(PROMPT + V, 5), lambda: model.generate(PROMPT, 5, top_k=0), lambda: None):
        try:
            wrong()
        except mg.ArgumentError:
            pass
        assert all(module.training == training for _, module in model.named_modules())
        assert model(PROMPT)[0].requires_grad
    assert all(p.grad is None for p in model.parameters())


def test_mixed_modes_come_back():
    """Someone who froze one block in evaluation mode finds it so after a sample in the middle of training."""
    model = make_model(dropout=0.5).train()
    model.h[0].eval()
    before = {name: module.training for name, module in model.named_modules()}
    model.generate(PROMPT, 2)
    assert {name: module.training for name, module in model.named_modules()} == before


def test_inside_no_grad_stays_no_grad():
    with mg.no_grad():
        MODEL.generate(PROMPT, 2)
        assert not (nn.Parameter(np.ones(2)) * 2).requires_grad
    assert (nn.Parameter(np.ones(2)) * 2).requires_grad
