"""GPT.reader: prompts of different lengths in one batch give what each gives alone; rows repeat, go and reorder."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.backend import best_row
from minigpt.decoding import Sampling, beam_search, decode
from minigpt.models import GPT, GPTConfig

V, T, L, H, C = 13, 12, 2, 2, 16
PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10], [11, 12]]
ROWS = sorted({"numpy", best_row()} & {"numpy", "cpu"})


def make_model(dtype=np.float32):
    """Weights large enough that the next token depends on all that came before."""
    model = GPT(GPTConfig(V, T, L, H, C), seed=0)
    rng = np.random.default_rng(0)
    for p in model.parameters():
        p.data += rng.normal(size=p.shape).astype(p.dtype) * 0.3
    return model.astype(dtype).eval()


def run(model, prompts, new, sampling=None, use_cache=True, **settings):
    """(texts (rows), logits per row (steps, V))"""
    texts: dict[int, list] = {}
    logits: dict[int, list] = {}
    with model.evaluating():
        reader = model.reader(prompts, use_cache)
        for step in decode(reader, new, sampling or Sampling(0), np.random.default_rng(3), **settings):
            for row, token, row_logits in zip(step.rows.tolist(), step.ids.tolist(), step.logits, strict=True):
                texts.setdefault(row, []).append(token)
                logits.setdefault(row, []).append(row_logits)
    return texts, logits


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("row", ROWS)
def test_different_lengths_give_what_each_gives_alone(row, use_cache, dtype):
    """Also past the context, which the rows reach at different steps."""
    model, tolerance = make_model(dtype), 1e-5 if dtype == np.float32 else 1e-12
    with mg.use(row):
        with pytest.warns(UserWarning, match="grown past"):
            texts, logits = run(model, PROMPTS, 9, use_cache=use_cache)
        for k, prompt in enumerate(PROMPTS):
            whole = list(prompt)
            for token, got in zip(texts[k], logits[k], strict=True):
                with mg.no_grad():
                    alone = model(np.array([whole[-T:]]))[0].numpy()[0, -1]
                assert np.abs(got - alone).max() <= tolerance * np.abs(alone).max()
                assert token == alone.argmax()
                whole.append(token)


@pytest.mark.parametrize("row", ROWS)
def test_samples_are_those_of_repeated_prompts(row):
    model, sampling = make_model(), Sampling(1.0, top_k=6)
    repeated = [prompt for prompt in PROMPTS for _ in range(3)]
    with mg.use(row):
        once, logits = run(model, PROMPTS, 5, sampling, n=3)
        each, logits_each = run(model, repeated, 5, sampling)
    assert once == each
    for k in once:
        np.testing.assert_allclose(logits[k], logits_each[k], rtol=0, atol=1e-5 * np.abs(logits_each[k]).max())


def test_the_prompt_is_read_once():
    model = make_model()
    read = []
    next_logits = model._next_logits
    model._next_logits = lambda ids, cache: read.append(ids.shape) or next_logits(ids, cache)
    run(model, [[1, 2, 3, 4]], 3, n=5)
    assert read == [(1, 4), (5, 1), (5, 1)]


@pytest.mark.parametrize("row", ROWS)
def test_rows_that_end_leave_the_others_alone(row):
    model = make_model()
    with mg.use(row):
        free, _ = run(model, PROMPTS, 6)
        eos = free[2][2]
        some, logits = run(model, PROMPTS, 6, eos_id=eos)
    assert len({len(text) for text in some.values()}) > 1
    for k, text in free.items():
        end = text.index(eos) + 1 if eos in text else 6
        assert some[k] == text[:end]
        assert len(logits[k]) == end


@pytest.mark.parametrize("row", ROWS)
def test_beam_search_with_and_without_the_cache(row):
    model = make_model(np.float64)
    with mg.use(row), model.evaluating():
        cached, plain = (beam_search(model.reader([[1, 2, 3]], c), 6, 4, n=4) for c in (True, False))
    for a, b in zip(cached, plain, strict=True):
        assert a.ids.tolist() == b.ids.tolist()
        assert a.score == pytest.approx(b.score, rel=1e-9)


def test_settings_of_generate_reach_the_loop():
    model = make_model()
    prompt = np.array([[1, 2, 3]])
    plain = model.generate(prompt, 6, temperature=0)[0, 3:].tolist()
    eos = plain[0]
    later = model.generate(prompt, 6, temperature=0, eos_id=eos, min_new_tokens=4)[0, 3:]
    assert eos not in later[:4]
    text, _ = run(model, prompt, 6, Sampling(0, repetition_penalty=3.0))
    assert model.generate(prompt, 6, temperature=0, repetition_penalty=3.0)[0, 3:].tolist() == text[0]
    assert text[0] != plain


def test_a_smaller_vocabulary():
    reader = make_model().reader([[1, 2]], vocab_size=5)
    assert reader.vocab_size == 5
    with mg.no_grad():
        assert reader.logits().shape == (1, 5)
