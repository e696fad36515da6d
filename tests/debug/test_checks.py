"""Checks of models, batches, gradients, accumulation and optimizers: what holds, what does not, what is left alone."""

import numpy as np
import planted_training as training
import pytest
from planted_models import CONFIG, cached_gpt, library_gpt, student_gpt

import minigpt as mg
from minigpt import debug, nn, optim
from minigpt import functional as F
from minigpt.debug.report import Report
from minigpt.models import GPT, RecurrentConfig, RecurrentLM
from minigpt.training.trainer import decay_groups

IDS = np.array([[1, 2, 3, 0, 1, 5], [0, 1, 2, 3, 4, 6]])
TARGETS = np.roll(IDS, -1, axis=1)


# --- models -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [GPT(CONFIG, seed=0), library_gpt(), cached_gpt()], ids=["new", "strong", "students"])
def test_a_right_model_passes_and_is_left_as_it_was(model):
    model.train()
    before = model.state_dict()
    report = debug.check_model(model, IDS, TARGETS)
    assert report
    assert len(report.held) == 5
    assert report.skipped == []
    assert all(module.training for _, module in model.named_modules())
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_the_shortest_text_and_no_targets():
    report = debug.check_model(library_gpt(), [[1, 2]])
    assert report.ok
    assert report.skipped == ["loss: pass targets"]


class BagOfWords(nn.Module):
    """Logits from the token itself and something of the others, `how`."""

    def __init__(self, how):
        self.how, self.wte, self.head = how, nn.Embedding(7, 5, rng=0, init_std=1.0), nn.Linear(5, 7, rng=1)

    def forward(self, ids):
        x = self.wte(ids)
        if self.how == "mean of all":
            x = x + x.mean(axis=1, keepdims=True)
        return self.head(x)


def test_a_model_without_attention_sees_nothing_and_a_mean_sees_all():
    report = debug.check_model(BagOfWords("alone"), IDS)
    (problem,) = report.problems
    assert problem.startswith("the last position depends on the first token: another first token leaves")
    assert report.skipped == ["cache: there is none; pass new_cache=", "loss: pass targets"]
    (problem,) = debug.check_model(BagOfWords("mean of all"), IDS).problems
    assert "another token at position 5 changes the logits of position" in problem
    assert "it begins with Add in (BagOfWords), at test_checks.py:" in problem


def test_a_cache_of_ones_own():
    made = []

    def new_cache(batch):
        made.append(batch)
        return library_gpt()._new_cache(batch)

    assert debug.check_model(library_gpt(), IDS, new_cache=new_cache).ok
    assert made == [2]
    (problem,) = debug.check_model(student_gpt("attention"), IDS).problems  # it takes a cache and does not use it
    assert problem.startswith("with a cache the logits are the same: token 1, read after 1 cached ones")
    assert "in h.0.attn" in problem


def test_first_weights_that_are_too_large():
    model = GPT(CONFIG, seed=0)
    model.wte.weight.data *= 300
    (problem,) = debug.check_model(model, IDS, TARGETS).problems
    assert "guessing among 7 tokens costs ln 7 = 1.95: are the first weights too large?" in problem


def test_wrong_calls_of_check_model():
    with pytest.raises(mg.ShapeError, match=r"ids have shape \(3,\)"):
        debug.check_model(library_gpt(), [1, 2, 3])
    with pytest.raises(mg.ArgumentError, match="all ids are the same token"):
        debug.check_model(library_gpt(), [[1, 1, 1]])
    with pytest.raises(mg.ArgumentError, match=r"has to return logits \(B, T, V\)"):
        debug.check_model(Flat(), [[1, 2]])


class Flat(nn.Module):
    def forward(self, ids):
        return mg.Tensor(np.ones(3))


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shift", "words"), [(0, "the ids themselves"), (2, "two places on"), (-1, "one place back")])
def test_targets_that_are_shifted_otherwise(shift, words):
    text = np.random.default_rng(0).integers(0, 50, 40)
    ids, targets = text[5:25].reshape(2, 10), text[5 + shift : 25 + shift].reshape(2, 10)
    (problem,) = debug.check_batch(ids, targets).problems
    assert problem.startswith("every target is the id that comes next: row 0, position 0: the target is ")
    assert problem.endswith(f"all targets are {words}" + (", so the model learns to copy" if shift == 0 else ""))


def test_one_wrong_target_and_ignored_ones():
    ids, targets = IDS, TARGETS.copy()
    targets[0, :3] = -100
    assert debug.check_batch(mg.Tensor(ids), targets).ok
    targets[1, 2] = 5
    (problem,) = debug.check_batch(ids, targets).problems
    assert problem.endswith("row 1, position 2: the target is 5, the next id 3")
    with pytest.raises(mg.ShapeError):
        debug.check_batch(ids, targets[:, :-1])


# --- gradients --------------------------------------------------------------------------------------------------------


def test_gradients_of_a_whole_model():
    model = library_gpt()
    report = debug.check_gradients(model, IDS, TARGETS)
    assert report.ok
    assert report.held == [name for name, _ in model.named_parameters()]
    assert model.wte.weight.dtype == np.float32
    assert debug.check_gradients(model, IDS, loss=lambda out: (out[0] ** 2).mean()).ok
    with pytest.raises(mg.ArgumentError, match="no single number; pass loss="):
        debug.check_gradients(model, IDS)


def test_a_parameter_that_gets_no_gradient_although_it_matters():
    class Cut(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Parameter(np.array([1.0, 2.0])), nn.Parameter(np.array(3.0))

        def forward(self, x):
            return (self.a * x * self.b.detach()).sum()

    (problem,) = debug.check_gradients(Cut(), np.array([1.0, 2.0])).problems
    assert problem == "b: at () backward gives no gradient at all, a finite difference 5"


def test_recurrent_models_pass():
    model = RecurrentLM(
        RecurrentConfig(vocab_size=7, n_embd=4, n_hidden=5, tied=False, n_layer=1, block_size=6), seed=0
    )
    assert debug.check_gradients(model, IDS, TARGETS).ok
    assert debug.check_model(model, IDS, new_cache=False).ok


# --- accumulation -----------------------------------------------------------------------------------------------------


def test_accumulation_that_forgets_or_weighs_wrongly():
    def last_only(model, parts):
        for ids, targets in parts:
            model.zero_grad()
            (model(ids, targets)[1] / len(parts)).backward()

    ids = np.concatenate([IDS, IDS[::-1]])
    targets = np.concatenate([TARGETS, TARGETS[::-1]])
    model = library_gpt()
    assert debug.check_accumulation(training.accumulate, model, ids, targets, rounds=2).ok
    assert debug.check_accumulation(training.accumulate, model, ids, targets, rounds=1).ok
    (problem,) = debug.check_accumulation(last_only, model, ids, targets).problems
    assert "wte.weight.grad: gradient differs" in problem
    assert "divide it by" not in problem
    uneven = targets.copy()
    uneven[0, 1:] = -100  # a mean of means is not the mean
    assert not debug.check_accumulation(training.accumulate, model, ids, uneven, rounds=4).ok

    def by_tokens(model, parts):
        count = sum(int((targets != -100).sum()) for _, targets in parts)
        for ids, targets in parts:
            (F.cross_entropy(model(ids)[0], targets, reduction="sum") / count).backward()

    assert debug.check_accumulation(by_tokens, model, ids, uneven, rounds=4).ok
    (problem,) = debug.check_accumulation(lambda model, parts: None, model, ids, targets).problems
    assert "one batch has shape (7, 8), accumulated has none" in problem
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(mg.ArgumentError, match="4 rows do not make 3 equal parts"):
        debug.check_accumulation(by_tokens, model, ids, targets, rounds=3)


# --- optimizers -------------------------------------------------------------------------------------------------------


def test_optimizers_that_are_the_same_and_that_are_not():
    def adam(params):
        return optim.Adam(params, lr=0.01)

    assert debug.check_optimizer(adam, adam).ok
    assert debug.check_optimizer(lambda params: training.MyAdam(params, 0.01), adam).ok
    (problem,) = debug.check_optimizer(lambda params: training.MyAdam(params, 0.02), adam).problems
    assert "step 1, weight at (" in problem
    assert problem.endswith("step by step: 2, 2, 2, 2, 2")
    sgd, momentum = (lambda params, m=m: optim.SGD(params, lr=0.1, momentum=m) for m in (0.0, 0.9))
    (problem,) = debug.check_optimizer(momentum, sgd).problems
    assert "step 2, weight at (" in problem


def test_decay_by_what_it_does_whoever_wrote_the_optimizer():
    model = library_gpt()
    before = model.state_dict()
    report = debug.check_decay(optim.SGD(model.parameters(), lr=0.1), model)
    assert report.ok
    assert "wte.weight: not decayed" in report.held
    report = debug.check_decay(optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1), model)
    assert {problem.split(":")[0] for problem in report.problems} == {
        name for name, p in model.named_parameters() if p.ndim < 2
    }
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_the_trainers_own_groups_pass():
    model = library_gpt()
    report = debug.check_decay(optim.AdamW(decay_groups(model, 0.1), lr=0.1, weight_decay=0.0), model)
    assert report.ok
    assert "wte.weight: decayed" in report.held


def test_a_report_shows_itself():
    report = Report("check_all")
    for k in range(12):
        report.note(f"thing {k}", "")
    report.skipped.append("the rest")
    assert repr(report) == "check_all: ok\n  ok     thing 0, thing 1 … and 10 more\n  -      the rest"
    report.note("a < b", "it is not")
    assert str(report).splitlines()[:2] == ["check_all: 1 wrong", "  WRONG  a < b: it is not"]
    assert "a &lt; b" in report._repr_html_()
    assert not report
