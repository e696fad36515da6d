"""From settings to a model and its data: tokens added, who learns, and the same again for the same seed."""

import numpy as np
import pytest

from minigpt.data import NO_LOSS, has_dialogue_tokens
from minigpt.errors import CheckpointError, ConfigError, DataError
from minigpt.models import GPT, GPTClassifier, GPTConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training.finetune import FinetuneSettings, make_ready, part_rng, prepare
from minigpt.training.lora import lora_layers

SMALL = {"examples": 40, "val_examples": 10, "n_layer": 2, "n_head": 2, "n_embd": 8}


def base_folder(tmp_path, characters="abcdefghijklmnopqrstuvwxyz ", block_size=48):
    tok = CharTokenizer(characters)
    model = GPT(GPTConfig(tok.vocab_size, block_size, 2, 2, 8), seed=3)
    model.tokenizer = tok
    model.save_pretrained(tmp_path / "base")
    return model, str(tmp_path / "base")


def learning(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


def test_from_scratch():
    model, data = prepare(FinetuneSettings(task="arithmetic", **SMALL))
    assert has_dialogue_tokens(model.tokenizer)
    assert model.config.block_size == -(-max(data.train.widths.max(), data.val.widths.max()) // 8) * 8
    assert learning(model) == {name for name, _ in model.named_parameters()}
    assert (len(data.train), len(data.val)) == (40, 10)
    ids, targets = data.train[0]
    assert model.tokenizer.decode(ids).startswith("<|user|>What is ")
    assert model.tokenizer.decode(targets[targets != NO_LOSS]).endswith("<|end|>")
    data.check(model.config.vocab_size)
    again, same = prepare(FinetuneSettings(task="arithmetic", **SMALL))
    for p, q in zip(model.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    assert [x.tolist() for x, _ in map(same.train.__getitem__, range(40))] == [
        x.tolist() for x, _ in map(data.train.__getitem__, range(40))
    ]
    other, _ = prepare(FinetuneSettings(task="arithmetic", **SMALL), seed=1)
    assert not np.array_equal(other.wpe.weight.numpy()[:4], model.wpe.weight.numpy()[:4])


def test_a_base_gets_the_tokens_it_lacks(tmp_path):
    base, folder = base_folder(tmp_path)
    model, _ = prepare(FinetuneSettings(task="arithmetic", base=folder, **SMALL))
    tok, n = model.tokenizer, base.tokenizer.vocab_size
    assert model.config.vocab_size == tok.vocab_size > n
    assert tok.encode("What is 1 + 2?")
    np.testing.assert_array_equal(model.wte.weight.numpy()[:n], base.wte.weight.numpy())
    assert make_ready(model, ["What is 3 + 4?"]) == 0


@pytest.mark.parametrize("method", ["lora", "last-k"])
def test_new_tokens_learn_also_where_the_rest_is_frozen(tmp_path, method):
    """Rows that nobody has trained would stay random numbers; without new tokens the table is frozen too."""
    _, folder = base_folder(tmp_path)
    settings = FinetuneSettings(task="arithmetic", base=folder, method=method, rank=2, last_k=1, **SMALL)
    model, _ = prepare(settings)
    assert "wte.weight" in learning(model)
    assert "wpe.weight" not in learning(model)
    assert bool(lora_layers(model)) == (method == "lora")
    model.save_pretrained(tmp_path / "ready")
    again, _ = prepare(FinetuneSettings(**{**settings.to_dict(), "base": str(tmp_path / "ready")}))
    assert learning(again) == learning(model) - {"wte.weight"}


def test_mixture_and_file(tmp_path):
    _, data = prepare(FinetuneSettings(mix="reverse, copy", **SMALL))
    assert (len(data.train), len(data.val)) == (80, 20)
    rows = "".join(f"say {i}\t{i}\n" for i in range(100))
    (tmp_path / "mine.tsv").write_text("prompt\treply\n" + rows)
    settings = FinetuneSettings(data=str(tmp_path / "mine.tsv"), **SMALL)
    _, data = prepare(settings)
    assert settings.task_names == ["mine.tsv"]
    assert len(data.train) == 40


@pytest.mark.parametrize(("task", "level"), [("sentiment", "sequence"), ("tagging", "token")])
def test_head(task, level):
    settings = FinetuneSettings(task=task, method="head", class_weights=True, **SMALL)
    model, data = prepare(settings)
    assert isinstance(model, GPTClassifier)
    assert (model.level, model.causal) == (level, level == "sequence")
    assert model.class_weights is not None
    assert not has_dialogue_tokens(model.tokenizer)  # chat would take it for a model that answers
    loss, count = model.loss_sum(**data.batch(0, 8))
    assert np.isfinite(loss.item())
    assert count > 0


def test_parts_are_drawn_from_numbers_of_their_own():
    draws = {split: part_rng(3, split).integers(0, 10**9, 4).tolist() for split in ("train", "val", "test")}
    assert len({tuple(d) for d in draws.values()}) == 3
    assert part_rng(3, "val").integers(0, 10**9, 4).tolist() == draws["val"]


def test_refused(tmp_path):
    for changes, message in (
        ({}, "one of task, mix and data"),
        ({"task": "copy", "mix": "copy,dates"}, "one of task, mix and data"),
        ({"task": "cooking"}, "no task 'cooking'"),
        ({"task": "copy", "method": "some"}, "method is one of"),
        ({"task": "copy", "rank": 0}, "rank must be an integer"),
        ({"task": "copy", "examples": 1.5}, "examples must be an integer"),
        ({"mix": "sentiment,tagging", "method": "head"}, "one task"),
    ):
        with pytest.raises(ConfigError, match=message):
            FinetuneSettings(**changes)
    with pytest.raises(ConfigError, match="unknown settings"):
        FinetuneSettings.from_dict({"task": "copy", "colour": 1})
    with pytest.raises(ConfigError, match="method head needs a task with classes"):
        prepare(FinetuneSettings(task="copy", method="head", **SMALL))
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        prepare(FinetuneSettings(task="copy", base=str(tmp_path / "nothing"), **SMALL))
    _, folder = base_folder(tmp_path, block_size=16)
    with pytest.raises(DataError, match="block_size"):
        prepare(FinetuneSettings(task="copy", base=folder, **SMALL))


def test_turns():
    """Conversations of several questions where the context has room for them, with the same answers to learn."""
    base = {"task": "arithmetic", "examples": 60, "val_examples": 10, "n_layer": 1, "n_head": 2, "n_embd": 8}
    one = prepare(FinetuneSettings(**base, block_size=64))[1]
    three = prepare(FinetuneSettings(**base, block_size=64, turns=3))[1]
    assert len(one.train) == 60
    assert 20 <= len(three.train) < 50
    assert max(three.train.widths) > max(one.train.widths)
    assert max(three.train.widths) <= 64
    answers = [sum((data.train[i][1] >= 0).sum() for i in range(len(data.train))) for data in (one, three)]
    assert answers[0] == answers[1]
    narrow = prepare(FinetuneSettings(**base, turns=3))[1]  # a fresh model has room for one
    assert len(narrow.train) == 60
    with pytest.raises(ConfigError, match="turns must be an integer of at least 1"):
        FinetuneSettings(task="copy", turns=0)
