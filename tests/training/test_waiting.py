"""fit looks at losses now and then only: what it does when it finds a failed step late."""

import numpy as np
import pytest

from minigpt.data import TokenData
from minigpt.errors import NumericsError
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer

V, T = 11, 8


class FailsOnce(GPT):
    """Its loss is NaN in one step."""

    trainer = None
    bad_step = None

    def loss_sum(self, ids, targets):
        loss, count = super().loss_sum(ids, targets)
        if self.trainer.step_number == self.bad_step:
            loss = loss * np.nan
        return loss, count


def a_trainer(row, bad_step=None):
    model = FailsOnce(GPTConfig(vocab_size=V, block_size=T, n_layer=1, n_head=2, n_embd=8), seed=0)
    model.bad_step = bad_step
    settings = {"steps": 6, "batch_size": 4, "lr": 1e-2, "warmup": 2, "eval_interval": 0, "workers": 1}
    data = TokenData(np.random.default_rng(5).integers(0, V, 200))
    model.trainer = Trainer(model, data, TrainConfig(**settings, backend=row, progress=False))
    return model.trainer


def same_bits(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("row", ["numpy", "cpu"])
@pytest.mark.parametrize("bad_step", [0, 3, 5])
def test_it_goes_back_to_the_step_that_failed(bad_step, row, monkeypatch):
    """What came after it has moved nothing, and one can go on."""
    monkeypatch.setattr("minigpt.training.progress.SHOWN_EVERY", 1e9)
    late, reference = a_trainer(row, bad_step), a_trainer(row)
    with pytest.raises(NumericsError, match=f"step {bad_step + 1}: the loss is nan"):
        late.fit()
    for _ in range(bad_step):
        reference.step()
    assert late.step_number == reference.step_number == bad_step
    assert same_bits(late.model.state_dict(), reference.model.state_dict())
    assert same_bits(late.optimizer.state_dict(), reference.optimizer.state_dict())
    assert same_bits(late.history, reference.history)
    late.model.bad_step = None
    history = late.fit()
    assert len(history["loss"]) == len(history["lr"]) == 6
    assert np.isfinite(history["loss"]).all()


def test_history_and_checkpoints_do_not_lack_steps_nobody_has_looked_at(tmp_path):
    trainer, reference = a_trainer("numpy"), a_trainer("numpy")
    for _ in range(2):
        trainer._order_step()
        reference.step()
    trainer.save(tmp_path)
    assert len(trainer.history["loss"]) == 2
    assert same_bits(trainer.history, reference.history)
    assert len(Trainer.resume(tmp_path).history["loss"]) == 2
