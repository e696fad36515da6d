"""Training stops when the validation loss no longer falls, and the best weights come back."""

import numpy as np
import pytest
from tiny_dialogue import tiny_data, tiny_model

from minigpt.errors import ConfigError
from minigpt.training import TrainConfig, Trainer
from minigpt.training.early_stopping import EarlyStopping

FAST = {"batch_size": 6, "lr": 1e-2, "warmup": 1, "backend": "numpy", "progress": False, "workers": 1}
LOSSES = [3.0, 2.0, 2.5, 1.5, 1.6, 1.5, 1.4]  # with patience 2 it stops at the sixth, and the fourth was best


def scripted(monkeypatch, losses=LOSSES, patience=2, steps=20, **changes):
    """A trainer whose validation losses are given, one after each step."""
    config = TrainConfig(steps=steps, eval_interval=1, patience=patience, **FAST, **changes)
    trainer = Trainer(tiny_model(), tiny_data(), config)
    weights = {}

    def evaluate():
        loss = losses[trainer.step_number - 1]
        weights[trainer.step_number] = state(trainer.model)
        trainer._val.append((trainer.step_number, loss))
        return loss

    monkeypatch.setattr(trainer, "evaluate", evaluate)
    return trainer, weights


def state(model):
    return {name: p.numpy().copy() for name, p in model.named_parameters()}


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a)


def check_best_weights_come_back(monkeypatch):
    trainer, weights = scripted(monkeypatch)
    trainer.fit()
    assert trainer.step_number == 6
    assert trainer.stopped
    assert not trainer.interrupted
    assert trainer.stopping.step == 4
    assert trainer.stopping.loss == 1.5
    assert same(state(trainer.model), weights[4])
    assert not same(weights[4], weights[6])
    trainer.fit()  # there is nothing left to do
    assert trainer.step_number == 6


def test_best_weights_come_back(monkeypatch):
    check_best_weights_come_back(monkeypatch)


@pytest.mark.parametrize("bug", ["keeps the last", "shares the arrays", "counts from the start"])
def test_planted_bugs_are_found(monkeypatch, bug):
    if bug == "keeps the last":
        monkeypatch.setattr(EarlyStopping, "restore", lambda self, model: None)
    elif bug == "shares the arrays":
        copies = EarlyStopping.seen

        def shares(self, model, step, loss):
            copies(self, model, step, loss)
            if self.step == step:
                self._best = {name: p.data for name, p in model.named_parameters()}

        monkeypatch.setattr(EarlyStopping, "seen", shares)
    else:
        seen = EarlyStopping.seen

        def never_starts_again(self, model, step, loss):
            waited = self.waited
            seen(self, model, step, loss)
            self.waited = max(waited, self.waited)

        monkeypatch.setattr(EarlyStopping, "seen", never_starts_again)
    with pytest.raises(AssertionError):
        check_best_weights_come_back(monkeypatch)


def test_a_run_that_ends_by_itself_also_gives_the_best(monkeypatch):
    trainer, weights = scripted(monkeypatch, steps=5)
    trainer.fit()
    assert trainer.step_number == 5
    assert not trainer.stopped
    assert same(state(trainer.model), weights[4])


def test_the_checkpoint_holds_the_best_and_a_resumed_run_remembers_it(monkeypatch, tmp_path):
    trainer, weights = scripted(monkeypatch, out=str(tmp_path))
    trainer.fit()
    again = Trainer.resume(tmp_path, data=tiny_data())
    assert same(state(again.model), weights[4])
    assert again.stopped
    again.fit()
    assert again.step_number == 6

    trainer, weights = scripted(monkeypatch, out=str(tmp_path / "half"))
    for step in range(1, 6):  # stopped by hand before patience has run out: the weights are those of now
        trainer.step()
        trainer.stopping.seen(trainer.model, step, LOSSES[step - 1])
    trainer.save()
    now = state(trainer.model)
    again = Trainer.resume(tmp_path / "half", data=tiny_data())
    assert same(state(again.model), now)
    assert (again.stopping.loss, again.stopping.step, again.stopping.waited) == (1.5, 4, 1)
    monkeypatch.setattr(again, "evaluate", lambda: 9.0)
    again.fit()
    assert again.step_number == 6
    assert not same(state(again.model), now)  # those of step 4


def test_said_on_stderr(monkeypatch, capsys):
    trainer, _ = scripted(monkeypatch)
    object.__setattr__(trainer.config, "progress", True)
    trainer.fit()
    assert "validation loss no lower since step 4 (1.5000): its weights are back" in capsys.readouterr().err


def test_refused():
    with pytest.raises(ConfigError, match="patience needs data with a validation part"):
        Trainer(tiny_model(), tiny_data(n_val=0), TrainConfig(patience=2, **FAST))
    with pytest.raises(ConfigError, match="set eval_interval above 0"):
        TrainConfig(patience=2, eval_interval=0)
    with pytest.raises(ConfigError, match="patience must be"):
        TrainConfig(patience=0)
    with pytest.raises(ConfigError, match="unfreeze_every must be"):
        TrainConfig(unfreeze_every=-1)
