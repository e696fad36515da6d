"""evaluate_task with a toy task and a model whose right and wrong answers are known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from minigpt.errors import ArgumentError, DataError, TokenizerError
from minigpt.generation.task_accuracy import evaluate_task, greedy_answers, task_table
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training.evaluation import wilson

TOK = CharTokenizer("0123456789+=abcxyz.")


class Adder:
    """Answers "12+3=" with "15." and then chatters on; wrong by one if the first number ends in `wrong`."""

    def __init__(self, wrong="#"):
        self.wrong, self.calls = wrong, []
        self.tokenizer = TOK

    def generate(self, ids, max_new_tokens, temperature, eos_id=None):
        assert temperature == 0
        self.calls.append(ids.shape)
        rows = []
        for row in ids:
            first, second = TOK.decode(row).rstrip("=").split("+")
            total = int(first) + int(second) + first.endswith(self.wrong)
            rows.append([*row, *TOK.encode(f"{total}.xyzxyzxyz"[:max_new_tokens])])
            assert eos_id in (None, TOK.encode(".")[0])
        width = max(map(len, rows))
        return np.array([row + [0] * (width - len(row)) for row in rows])


class Addition:
    """A task of two methods; its examples never end."""

    def examples(self, split):
        rng = np.random.default_rng({"train": 0, "test": 1}[split])
        while True:
            a, b = (int(x) for x in rng.integers(0, 120, 2))
            yield {"prompt": f"{a}+{b}=", "answer": str(a + b)}

    def score(self, example, answer):
        return answer == example["answer"]


def test_a_model_that_is_right(monkeypatch):
    model = Adder()
    e = evaluate_task(model, None, Addition(), n=50, stop=".")
    assert (e.right, e.n, e.accuracy, e.mean_score) == (50, 50, 1.0, 1.0)
    assert e.interval == wilson(50, 50)
    assert e.name == "Addition"
    lengths = {length for _, length in model.calls}
    assert len(model.calls) == len(lengths)  # prompts of one length share a batch
    assert sum(n for n, _ in model.calls) == 50


def test_a_model_that_is_wrong_at_times():
    task = Addition()
    e = evaluate_task(Adder(wrong="7"), TOK, task, n=80, stop=".", batch_size=3)
    wrong = [example for example, _, score in e.answers if score == 0]
    assert {example["prompt"].split("+")[0][-1] for example in wrong} == {"7"}
    assert 0 < len(wrong) == e.n - e.right < 30
    for example, answer, score in e.answers:  # in the order of the task, each with its own answer
        assert (answer == example["answer"]) == score
    first = [example for example, _, _ in e.answers]
    assert first == [example for _, example in zip(range(80), task.examples("test"), strict=False)]
    low, high = e.interval
    assert low < e.accuracy < high


def test_parts_of_a_point_count_in_the_mean_alone():
    task = SimpleNamespace(
        examples=lambda split: [SimpleNamespace(prompt="1+1="), SimpleNamespace(prompt="2+2=")],
        score=lambda example, answer: 1.0 if answer.startswith("2") else 0.5,
    )
    e = evaluate_task(Adder(), TOK, task, name="half")
    assert (e.right, e.n, e.mean_score, e.accuracy) == (1, 2, 0.75, 0.5)
    stored = json.loads(json.dumps(e.to_dict()))
    assert stored["exact_match"] == 0.5
    assert stored["interval"] == list(wilson(1, 2))


def test_split_prompt_and_names():
    asked = []
    task = SimpleNamespace(examples=lambda split: asked.append(split) or [(1, 2)], score=lambda e, a: a == str(sum(e)))
    e = evaluate_task(Adder(), TOK, task, split="val", prompt=lambda e: f"{e[0]}+{e[1]}=", stop=[".", "x"])
    assert asked == ["val"]
    assert e.right == 1
    table = task_table([e, e])
    assert table.count("100.0%") == 4  # share and upper end, twice
    assert "(1 of 1)" in table


def test_answers_of_a_gpt_are_its_greedy_text(rng):
    """Batches of prompts of different lengths give what each prompt gives alone, also where a stop is one token."""
    model = GPT(GPTConfig(TOK.vocab_size, block_size=32, n_layer=1, n_head=2, n_embd=8), seed=1)
    for p in model.parameters():
        p.data += rng.normal(scale=0.5, size=p.shape).astype(np.float32)
    prompts = ["1+1=", "abc", "2", "9+9=", "xyz", "1"]
    batched = greedy_answers(model, TOK, prompts, max_new_tokens=12, batch_size=2)
    for prompt, answer in zip(prompts, batched, strict=True):
        ids = model.generate(np.array([TOK.encode(prompt)]), 12, temperature=0)[0]
        assert TOK.decode(ids) == prompt + answer
    common = max("".join(batched), key="".join(batched).count)
    for stop in (common, [common, "qq"][:1], [common, "0+"]):
        cut = greedy_answers(model, TOK, prompts, stop=stop, max_new_tokens=12)
        wanted = [answer.split(common)[0].split("0+" if "0+" in stop else common)[0] for answer in batched]
        assert cut == wanted


def test_refused():
    task = Addition()
    for name in ("n", "max_new_tokens", "batch_size"):
        with pytest.raises(ArgumentError, match=f"{name} needs an integer"):
            evaluate_task(Adder(), TOK, task, **{name: 0})
    nothing = SimpleNamespace(examples=lambda split: [], score=None)
    with pytest.raises(DataError, match="no examples in the split 'test'"):
        evaluate_task(Adder(), TOK, nothing)
    for example in ({"question": "?"}, (1, 2), SimpleNamespace(prompt=3)):
        strange = SimpleNamespace(examples=lambda split, example=example: [example], score=None)
        with pytest.raises(ArgumentError, match="has no text `prompt`"):
            evaluate_task(Adder(), TOK, strange)
    with pytest.raises(TokenizerError, match="prompt is empty"):
        evaluate_task(Adder(), TOK, task, prompt=lambda e: "")
    per_cent = SimpleNamespace(examples=task.examples, score=lambda e, a: 100)
    with pytest.raises(ArgumentError, match="outside 0 … 1"):
        evaluate_task(Adder(), TOK, per_cent, n=2)
