"""The trainer: what one step computes, evaluation, and what fit records and shows."""

import numpy as np
import pytest

import minigpt as mg
from minigpt import functional as F
from minigpt.data import TokenData
from minigpt.errors import ArgumentError, DataError, NumericsError
from minigpt.models import GPT, GPTConfig
from minigpt.optim import cosine_warmup, noam
from minigpt.training import TrainConfig, Trainer, evaluate
from minigpt.training.trainer import decay_groups

V, T = 11, 8


def tiny_model(seed=0, kind=GPT, **changes):
    shape = {"vocab_size": V, "block_size": T, "n_layer": 1, "n_head": 2, "n_embd": 8, **changes}
    return kind(GPTConfig(**shape), seed=seed)


def random_data(n=200, n_val=60):
    rng = np.random.default_rng(5)
    return TokenData(rng.integers(0, V, n), rng.integers(0, V, n_val) if n_val else None)


def settings(**changes):
    usual = {"steps": 6, "batch_size": 4, "lr": 1e-2, "min_lr": 1e-3, "warmup": 2, "backend": "numpy"}
    return TrainConfig(**{**usual, "workers": 1, "progress": False, **changes})


class ListedBatches:
    """Data that hands out the batches it was given, whatever is asked for."""

    def __init__(self, *batches):
        self.batches = iter(batches)

    def batch(self, rng, n):
        return next(self.batches)


class Poison(mg.Op):
    """Hands its input on, but its gradient is NaN."""

    @staticmethod
    def forward(ctx, x):
        return x * 1.0

    @staticmethod
    def backward(ctx, dy):
        return dy * np.nan


class PoisonedGPT(GPT):
    """A model with a finite loss whose gradients are not finite."""

    def loss_sum(self, ids, targets):
        loss, count = super().loss_sum(ids, targets)
        return Poison.apply(loss), count


def random_batch(rng, rows, ignored=()):
    ids, targets = rng.integers(0, V, (2, rows, T))
    for place in ignored:
        targets[place] = -100
    return {"ids": ids, "targets": targets}


def same_bits(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)


def test_steps_lower_the_loss_on_a_repeating_text():
    data = TokenData(np.tile(np.arange(V), 30))
    trainer = Trainer(tiny_model(), data, settings(steps=60, lr=3e-2))
    losses = [trainer.step() for _ in range(60)]
    assert losses[0] == pytest.approx(np.log(V), abs=0.1)  # knows nothing: all tokens alike
    assert losses[-1] < 0.3  # each token is fixed by the one before it


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_same_seed_same_bits_another_seed_others(dropout):
    def run(seed):
        model = tiny_model(dropout=dropout)
        return Trainer(model, random_data(), settings(seed=seed)).fit(), model.state_dict()

    (history, weights), (again, weights_again), (other, weights_other) = run(1), run(1), run(2)
    assert same_bits(history, again)
    assert same_bits(weights, weights_again)
    assert not np.array_equal(history["loss"], other["loss"])
    assert not same_bits(weights, weights_other)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_two_rounds_of_4_windows_equal_one_of_8(dropout):
    """Masks follow from seed, step, call and example number: example 5 of 8 is example 1 of the second round."""
    trained = []
    for accumulate, batch_size in ((1, 8), (2, 4)):
        model = tiny_model(dropout=dropout).astype(np.float64)
        config = settings(accumulate=accumulate, batch_size=batch_size)
        trained.append((Trainer(model, random_data(), config).fit()["loss"], model.state_dict()))
    (losses, weights), (losses_in_rounds, weights_in_rounds) = trained
    np.testing.assert_allclose(losses_in_rounds, losses, rtol=1e-10)
    for name, array in weights.items():
        np.testing.assert_allclose(weights_in_rounds[name], array, rtol=1e-6, atol=1e-9, err_msg=name)


def test_gradient_is_the_mean_over_all_tokens_that_count():
    """Rounds with 3 and 16 counted targets: the mean of the two means would weigh the 3 far too much."""
    rng = np.random.default_rng(0)
    few = random_batch(rng, 2, ignored=[(0, slice(None)), (1, slice(3, None))])
    many = random_batch(rng, 2)
    model, by_hand = (tiny_model(seed=3).astype(np.float64) for _ in range(2))
    trainer = Trainer(model, ListedBatches(few, many), settings(accumulate=2, grad_clip=0.0))
    loss = trainer.step()

    both = {key: np.concatenate([few[key], many[key]]) for key in few}  # (4, T)
    logits, _ = by_hand(both["ids"])
    expected = F.cross_entropy(logits, both["targets"], reduction="mean")
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for (name, p), q in zip(model.named_parameters(), by_hand.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, rtol=1e-9, atol=1e-12, err_msg=name)


def test_gradients_of_the_step_before_are_forgotten():
    batch = random_batch(np.random.default_rng(0), 2)
    model = tiny_model().astype(np.float64)
    trainer = Trainer(model, ListedBatches(batch, batch), settings(lr=1e-12, min_lr=0.0, grad_clip=0.0))
    trainer.step()  # so short that the weights stay as they are
    first = model.wte.weight.grad.copy()
    trainer.step()
    np.testing.assert_allclose(model.wte.weight.grad, first, rtol=1e-6, atol=1e-10)


def test_learning_rate_rises_then_falls_along_the_cosine():
    config = settings(steps=9, warmup=3, lr=0.02, min_lr=0.002)
    history = Trainer(tiny_model(), random_data(), config).fit()
    expected = [cosine_warmup(step, 3, 9, 0.02, 0.002) for step in range(9)]
    np.testing.assert_allclose(history["lr"], expected, rtol=1e-12)
    assert history["lr"][0] == pytest.approx(0.02 / 4)  # the first of 3 warm-up steps, lr itself after them


def test_noam_rises_to_lr_and_falls_with_the_root():
    history = Trainer(tiny_model(), random_data(), settings(steps=12, warmup=3, lr=0.02, schedule="noam")).fit()
    expected = [0.02 * min(t / 3, (3 / t) ** 0.5) for t in range(1, 13)]
    np.testing.assert_allclose(history["lr"], expected, rtol=1e-12)
    d_model, warmup = 64, 3  # the paper's own height
    paper = [noam(t, warmup, d_model) for t in range(1, 13)]
    np.testing.assert_allclose(np.array(expected) * (d_model * warmup) ** -0.5 / 0.02, paper, rtol=1e-12)


def test_the_learning_rate_reaches_the_optimizer():
    """The first AdamW step moves each element with a clear gradient by lr, whatever the gradient's size."""
    model = tiny_model().astype(np.float64)
    before = model.state_dict()
    trainer = Trainer(model, random_data(), settings(warmup=4, steps=5, lr=1e-2, weight_decay=0.0))
    trainer.step()
    moved = np.abs(model.state_dict()["h.0.mlp.c_fc.weight"] - before["h.0.mlp.c_fc.weight"])
    assert np.median(moved) == pytest.approx(1e-2 / 5, rel=1e-2)


def test_biases_and_norms_are_never_decayed():
    model = tiny_model()
    names = {id(p): name for name, p in model.named_parameters()}
    decayed, others = decay_groups(model, 0.1)
    assert decayed["weight_decay"] == 0.1
    assert others["weight_decay"] == 0.0
    matrices = {names[id(p)] for p in decayed["params"]}
    assert matrices == {n for n in names.values() if n.endswith(".weight") and "ln_" not in n}
    assert {names[id(p)] for p in others["params"]} == set(names.values()) - matrices

    states = []
    for weight_decay in (0.0, 5.0):
        model = tiny_model()
        Trainer(model, random_data(), settings(weight_decay=weight_decay)).step()
        states.append(model.state_dict())
    differing = {name for name in states[0] if not np.array_equal(states[0][name], states[1][name])}
    assert differing == matrices


@pytest.mark.parametrize("limit", [0.01, 1000.0, 0.0])
def test_clipping_to_a_global_norm(limit):
    norms = []
    for grad_clip in (0.0, limit):
        model = tiny_model()
        Trainer(model, random_data(), settings(grad_clip=grad_clip)).step()
        norms.append(np.sqrt(sum(np.square(p.grad, dtype=np.float64).sum() for p in model.parameters())))
    assert norms[1] == pytest.approx(min(norms[0], limit) if limit else norms[0], rel=1e-3)


def test_a_loss_of_nan_stops_before_the_parameters_change():
    model = tiny_model()
    trainer = Trainer(model, random_data(), settings())
    trainer.step()
    model.wte.weight.data[:] = np.nan
    before, optimizer = model.state_dict(), trainer.optimizer.state_dict()
    with pytest.raises(NumericsError, match=r"step 2.*nan.*learning rate"):
        trainer.step()
    assert same_bits(model.state_dict(), before)
    assert same_bits(trainer.optimizer.state_dict(), optimizer)
    assert len(trainer.history["loss"]) == len(trainer.history["lr"]) == 1


@pytest.mark.parametrize("grad_clip", [1.0, 0.0])
def test_gradients_of_nan_stop_before_the_parameters_change(grad_clip):
    """Also with clipping off, where nobody computes a norm that would tell."""
    model = tiny_model(kind=PoisonedGPT)
    before = model.state_dict()
    trainer = Trainer(model, random_data(), settings(grad_clip=grad_clip))
    with pytest.raises(NumericsError):
        trainer.step()
    assert same_bits(model.state_dict(), before)
    assert trainer.step_number == 0


def test_a_batch_without_targets_is_refused():
    batch = random_batch(np.random.default_rng(0), 2, ignored=[slice(None)])
    model = tiny_model()
    before = model.state_dict()
    with pytest.raises(ArgumentError, match="no target"):
        Trainer(model, ListedBatches(batch), settings()).step()
    assert same_bits(model.state_dict(), before)


def losses_by_hand(model, ids, targets):
    """The loss of each of the first `targets` predictions, window after window, in plain NumPy."""
    losses = []
    for start in range(0, targets, T):
        window = ids[start : min(start + T, targets) + 1]
        logits = model.eval()(window[None, :-1])[0].numpy()[0].astype(np.float64)  # (T, V)
        log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        losses += list(-log_p[np.arange(len(window) - 1), window[1:]])
    return losses


def test_evaluation_predicts_each_token_once():
    """59 targets in windows of 8: seven whole ones and one of 3. Dropout is off, whatever the mode."""
    data, model = random_data(n_val=60), tiny_model(dropout=0.5, seed=2)
    by_hand = losses_by_hand(model, data.val_ids, 59)
    assert len(by_hand) == 59
    trainer = Trainer(model, data, settings())
    for training in (True, False):
        model.train(training)
        assert trainer.evaluate() == pytest.approx(np.mean(by_hand), rel=1e-6)
        assert all(module.training is training for _, module in model.named_modules())
    assert evaluate(model, data.with_block_size(T), batch_size=2) == pytest.approx(np.mean(by_hand), rel=1e-6)
    part = Trainer(model, data, settings(eval_tokens=20)).evaluate()
    assert part == pytest.approx(np.mean(losses_by_hand(model, data.val_ids, 20)), rel=1e-6)


def test_evaluation_restores_the_mode_after_an_error():
    class Failing(TokenData):
        def val_batches(self, n, max_tokens=None):
            raise DataError("the disk is gone")

    data = Failing(np.zeros(50, int), np.zeros(50, int), T)
    model = tiny_model().train()
    with pytest.raises(DataError, match="disk"):
        evaluate(model, data)
    assert model.training is True
    assert mg.Tensor([1.0], requires_grad=True).sum().requires_grad  # gradients are recorded again


def test_a_model_in_evaluation_mode_is_trained_with_dropout():
    losses = []
    for mode in (True, False):
        model = tiny_model(dropout=0.5).train(mode)
        losses.append(Trainer(model, random_data(), settings(steps=2)).fit()["loss"])
    np.testing.assert_array_equal(losses[0], losses[1])


def test_history_and_the_evaluations_in_it():
    history = Trainer(tiny_model(), random_data(), settings(steps=5, eval_interval=2)).fit()
    assert {name: len(array) for name, array in history.items()} == {"loss": 5, "lr": 5, "val_step": 3, "val_loss": 3}
    np.testing.assert_array_equal(history["val_step"], [2, 4, 5])  # every second, and the last
    assert all(np.isfinite(array).all() for array in history.values())
    last_only = Trainer(tiny_model(), random_data(), settings(eval_interval=0)).fit()
    np.testing.assert_array_equal(last_only["val_step"], [6])
    without = Trainer(tiny_model(), random_data(n_val=0), settings())
    assert without.fit()["val_loss"].size == 0
    with pytest.raises(DataError, match="no validation part"):
        without.evaluate()


def test_fit_ends_at_the_steps_set():
    trainer = Trainer(tiny_model(), random_data(), settings(steps=3, warmup=1))
    trainer.step()
    assert len(trainer.fit()["loss"]) == trainer.step_number == 3
    assert len(trainer.fit()["loss"]) == 3  # nothing is left to do
    assert trainer.interrupted is False
    assert trainer.step() > 0  # by hand one may go on, at the last learning rate
    assert trainer.history["lr"][-1] == pytest.approx(1e-3)


def test_silent_without_progress_else_a_bar_on_stderr(capfd):
    Trainer(tiny_model(), random_data(), settings()).fit()
    assert capfd.readouterr() == ("", "")
    trainer = Trainer(tiny_model(), random_data(), settings(progress=True))
    trainer.fit()
    out, err = capfd.readouterr()
    assert out == ""
    last = err.rsplit("\r", 1)[-1]
    history = trainer.history
    for shown in ("6/6", f"loss={history['loss'][-1]:.3f}", f"val={history['val_loss'][-1]:.3f}", "tok_s="):
        assert shown in last, last
    assert f"lr={history['lr'][-1]:.1e}" in last
