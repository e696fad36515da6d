"""Generation against Hugging Face Transformers' generate (golden/generate.npz), with the model of golden/gpt2.npz."""

import json
from pathlib import Path

import numpy as np
import pytest

from minigpt.decoding import Sampling, beam_search, decode
from minigpt.models import GPT, GPTConfig

FOLDER = Path(__file__).parent / "golden"
with np.load(FOLDER / "generate.npz") as stored:
    ARRAYS = dict(stored)
PROMPTS = [row[p:].tolist() for row, p in zip(ARRAYS["prompts"], ARRAYS["padding"], strict=True)]
NEW = 10


@pytest.fixture(scope="module")
def model():
    with np.load(FOLDER / "gpt2.npz") as arrays:
        sizes = json.loads(arrays["config"].tobytes())["model"]
        state = {key.removeprefix("state/"): arrays[key] for key in arrays.files if key.startswith("state/")}
    gpt = GPT(GPTConfig(block_size=sizes.pop("n_positions"), **sizes), seed=0)
    gpt.load_state_dict(state)
    return gpt.astype(np.float64)


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("penalty", [1.0, 1.3, 0.8])
def test_greedy_with_a_repetition_penalty_for_prompts_of_three_lengths(model, penalty, use_cache):
    sampling = Sampling(0, repetition_penalty=penalty)
    with model.evaluating():
        steps = decode(model.reader(PROMPTS, use_cache), NEW, sampling, np.random.default_rng(0))
        written = np.stack([step.ids for step in steps], axis=1)  # (3, NEW)
    np.testing.assert_array_equal(written, ARRAYS[f"greedy-{penalty}"])


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("end", ["plain", "end"])
def test_beam_search(model, end, length_penalty, use_cache):
    """Their beams stop like ours when nothing can improve (early_stopping="never"); shorter texts are padded."""
    ids, scores = (ARRAYS[f"beam-{end}-{length_penalty}/{what}"] for what in ("ids", "scores"))
    eos = int(ARRAYS["end"]) if end == "end" else None
    with model.evaluating():
        found = beam_search(
            model.reader(PROMPTS[:1], use_cache), NEW, 4, n=4, length_penalty=length_penalty, eos_id=eos
        )
    for hypothesis, theirs, score in zip(found, ids, scores, strict=True):
        np.testing.assert_array_equal(hypothesis.ids, theirs[: len(hypothesis.ids)])
        assert np.all(theirs[len(hypothesis.ids) :] == model.config.vocab_size - 1)
        assert hypothesis.score == pytest.approx(score, rel=1e-6)  # theirs are rounded to float32
