"""evaluate_task with a toy task and a model whose right and wrong answers are known."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from minigpt.data import Conversation, add_dialogue_tokens, end_id, render_prompt
from minigpt.errors import ArgumentError, DataError, TokenizerError
from minigpt.generation.task_accuracy import evaluate_task, greedy_answers, task_table
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer
from minigpt.training.evaluation import wilson

TOK = CharTokenizer("0123456789+=abcxyz.")
CHAT = CharTokenizer("0123456789+=abcxyz.")
add_dialogue_tokens(CHAT)


class Adder:
    """Answers "12+3=" with "15." and then chatters on; wrong by one if the first number ends in `wrong`."""

    def __init__(self, wrong="#", tok=TOK, end="."):
        self.wrong, self.calls, self.end = wrong, [], end
        self.tokenizer, self.config = tok, SimpleNamespace(block_size=64)

    def generate(self, ids, max_new_tokens, temperature, eos_id=None):
        assert temperature == 0
        self.calls.append((ids.shape, max_new_tokens))
        rows = []
        for row in ids:
            text = self.tokenizer.decode(row, skip_special_tokens=True)
            first, second = text.rstrip("=").split("+")
            total = int(first) + int(second) + first.endswith(self.wrong)
            rows.append([*row, *self.tokenizer.encode(f"{total}{self.end}xyzxyzxyz")[:max_new_tokens]])
        width = max(map(len, rows))
        return np.array([row + [0] * (width - len(row)) for row in rows])


class Addition:
    """A task of two methods; its examples never end."""

    def examples(self, split, n, seed):
        rng = np.random.default_rng([seed, {"train": 0, "val": 1, "test": 2}[split]])
        while True:
            a, b = (int(x) for x in rng.integers(0, 120, 2))
            yield Conversation.exchange(f"{a}+{b}=", str(a + b))

    def score(self, example, answer):
        return answer == example.reply


def asked(example):
    return example.messages[0].content


@pytest.mark.parametrize("dialogue", [True, False])
def test_a_model_that_is_right(dialogue):
    model = Adder(tok=CHAT, end="<|end|>") if dialogue else Adder()
    how = {} if dialogue else {"prompt": asked, "stop": "."}
    e = evaluate_task(model, None, Addition(), n=50, **how)
    assert (e.right, e.n, e.accuracy, e.mean_score) == (50, 50, 1.0, 1.0)
    assert e.interval == wilson(50, 50)
    assert e.name == "Addition"
    lengths = {length for (_, length), _ in model.calls}
    assert len(model.calls) == len(lengths)  # prompts of one length share a batch
    assert sum(n for (n, _), _ in model.calls) == 50


@pytest.mark.parametrize("dialogue", [True, False])
def test_a_model_that_is_wrong_at_times(dialogue):
    task = Addition()
    model = Adder(wrong="7", tok=CHAT, end="<|end|>") if dialogue else Adder(wrong="7")
    how = {} if dialogue else {"prompt": asked, "stop": "."}
    e = evaluate_task(model, None, task, n=80, batch_size=3, seed=5, **how)
    wrong = [example for example, _, score in e.answers if score == 0]
    assert {asked(example).split("+")[0][-1] for example in wrong} == {"7"}
    assert 0 < len(wrong) == e.n - e.right < 30
    for example, answer, score in e.answers:  # in the order of the task, each with its own answer
        assert (answer == example.reply) == score
    first = [example for example, _, _ in e.answers]
    assert first == list(itertools.islice(task.examples("test", 80, 5), 80))
    low, high = e.interval
    assert low < e.accuracy < high


def test_an_answer_that_goes_on_is_wrong():
    """Cut off after exactly the right answer, a model that never ends its turn would pass."""
    e = evaluate_task(Adder(tok=CHAT, end="0"), None, Addition(), n=20)
    assert e.right == 0
    longest = max(len(example.reply) for example, _, _ in e.answers)
    assert all(len(answer) > longest for _, answer, _ in e.answers)


def test_answers_end_with_the_context():
    model = Adder(tok=CHAT, end="<|end|>")
    prompt = render_prompt([{"role": "user", "content": "2+2="}], CHAT)
    model.config.block_size = len(prompt) + 1  # room for the answer and the end, which is not read
    assert greedy_answers(model, CHAT, [prompt], 50, end_id(CHAT)) == ["4"]
    assert model.calls == [((1, len(prompt)), 2)]
    model.config.block_size = len(prompt) - 1
    with pytest.raises(DataError, match="leaves no room"):
        greedy_answers(model, CHAT, [prompt], 50, end_id(CHAT))


def test_parts_of_a_point_count_in_the_mean_alone():
    task = SimpleNamespace(
        examples=lambda split, n, rng: ["1+1=", "2+2="],
        score=lambda example, answer: 1.0 if answer.startswith("2") else 0.5,
    )
    e = evaluate_task(Adder(), TOK, task, name="half", prompt=str)
    assert (e.right, e.n, e.mean_score, e.accuracy) == (1, 2, 0.75, 0.5)
    stored = json.loads(json.dumps(e.to_dict()))
    assert stored["exact_match"] == 0.5
    assert stored["interval"] == list(wilson(1, 2))
    assert "50.0%   9.5% … 90.5%   (1 of 2 questions); mean score 0.750" in e.row()


def test_split_seed_and_names():
    asked = []

    def examples(split, n, rng):
        asked.append((split, n, rng))
        return [(1, 2)]

    task = SimpleNamespace(examples=examples, score=lambda e, a: a == str(sum(e)))
    e = evaluate_task(Adder(), TOK, task, split="val", seed=3, prompt=lambda e: f"{e[0]}+{e[1]}=", stop=[".", "x"])
    assert asked == [("val", 200, 3)]
    assert e.right == 1
    table = task_table([e, e])
    assert table.count("100.0%") == 4  # share and upper end, twice
    assert "(1 of 1 questions)" in table


def test_answers_of_a_gpt_are_its_greedy_text(rng):
    """Batches of prompts of different lengths give what each prompt gives alone, also where a stop is one token."""
    model = GPT(GPTConfig(TOK.vocab_size, block_size=32, n_layer=1, n_head=2, n_embd=8), seed=1)
    for p in model.parameters():
        p.data += rng.normal(scale=0.5, size=p.shape).astype(np.float32)
    prompts = [TOK.encode(text) for text in ("1+1=", "abc", "2", "9+9=", "xyz", "1")]
    batched = greedy_answers(model, TOK, prompts, max_new_tokens=12, batch_size=2)
    for prompt, answer in zip(prompts, batched, strict=True):
        ids = model.generate(np.array([prompt]), 12, temperature=0)[0]
        assert TOK.decode(ids) == TOK.decode(prompt) + answer
    common = max("".join(batched), key="".join(batched).count)
    wanted = [answer.split(common)[0] for answer in batched]
    assert greedy_answers(model, TOK, prompts, 12, stop=common) == wanted
    assert greedy_answers(model, TOK, prompts, 12, eos_id=TOK.encode(common)[0]) == wanted
    both = [answer.split("0+")[0] for answer in wanted]
    assert greedy_answers(model, TOK, prompts, 12, stop=[common, "0+"]) == both


def test_refused():
    task = Addition()
    for name in ("n", "max_new_tokens", "batch_size"):
        with pytest.raises(ArgumentError, match=f"{name} needs an integer"):
            evaluate_task(Adder(), TOK, task, **{name: 0})
    nothing = SimpleNamespace(examples=lambda split, n, rng: [], score=None)
    with pytest.raises(DataError, match="no examples in the split 'test'"):
        evaluate_task(Adder(), TOK, nothing)
    with pytest.raises(TokenizerError, match="never made ready for dialogue"):
        evaluate_task(Adder(), TOK, task)
    for example in ({"question": "?"}, (1, 2)):
        strange = SimpleNamespace(examples=lambda split, n, rng, example=example: [example], score=None)
        with pytest.raises(ArgumentError, match="is no Conversation"):
            evaluate_task(Adder(tok=CHAT), CHAT, strange)
    with pytest.raises(TokenizerError, match="prompt is empty"):
        evaluate_task(Adder(), TOK, task, prompt=lambda e: "")
    per_cent = SimpleNamespace(examples=task.examples, score=lambda e, a: 100)
    with pytest.raises(ArgumentError, match="outside 0 … 1"):
        evaluate_task(Adder(), TOK, per_cent, n=2, prompt=asked)
