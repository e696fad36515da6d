"""Checkpoints of earlier steps: found by step, in the run's folder or the recording's own; what is missing is said."""

import numpy as np
import pytest

from minigpt.data import TokenData
from minigpt.errors import CheckpointError
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer, checkpoint
from minigpt.training.snapshots import RECORDING, SETTINGS, recording_folder, snapshot_at, snapshot_folder, snapshots


def new_trainer(out, recorder=None):
    config = TrainConfig(steps=6, batch_size=2, backend="numpy", workers=1, progress=False, out=str(out))
    model = GPT(GPTConfig(vocab_size=11, block_size=8, n_layer=1, n_head=2, n_embd=8), seed=0)
    return Trainer(model, TokenData(np.arange(100) % 11), config, recorder)


class Saver:
    """A watcher that keeps checkpoints and nothing else, and notes when it was asked."""

    def __init__(self, folder, steps):
        self.folder, self.steps, self.asked = folder, steps, []

    def due(self, trainer):
        self.asked.append(trainer.step_number)
        return trainer.step_number in self.steps

    def record(self, trainer):
        checkpoint.save(trainer, snapshot_folder(self.folder, trainer.step_number), self.folder)
        self.steps = self.steps - {trainer.step_number}


def test_any_watcher_is_asked_before_the_first_step_and_after_each(tmp_path):
    saver = Saver(tmp_path / RECORDING, {0, 2, 5})
    trainer = new_trainer(tmp_path, saver)
    trainer.fit()
    assert sorted(set(saver.asked)) == [0, 1, 2, 3, 4, 5, 6]
    assert list(snapshots(tmp_path / RECORDING)) == [0, 2, 5]
    assert not (tmp_path / RECORDING / "weights_00000002" / "data.safetensors").exists()  # there is one for all
    assert Trainer.resume(tmp_path, step=2).fit()["loss"].tolist() == trainer.history["loss"].tolist()


def test_steps_that_cannot_be_gone_back_to(tmp_path):
    new_trainer(tmp_path).save()
    with pytest.raises(CheckpointError, match="no weights of earlier steps to go back to: record them while training"):
        Trainer.resume(tmp_path, step=0)
    recording = tmp_path / RECORDING
    for step in (0, 2, 40, 50, 900):
        snapshot_folder(recording, step).mkdir(parents=True)
        (snapshot_folder(recording, step) / "trainer.json").touch()
    snapshot_folder(recording, 41).mkdir()  # the run ended while this one was written
    with pytest.raises(CheckpointError, match=r"no weights of step 41; the nearest steps that have: 0, 2, 40, 50$"):
        Trainer.resume(tmp_path, step=41)
    assert snapshot_at(tmp_path, 40) == snapshot_folder(recording, 40)
    (recording / SETTINGS).touch()
    assert recording_folder(recording) == recording_folder(tmp_path) == recording


def test_data_that_was_not_saved_is_passed_again(tmp_path):
    ids = np.arange(100) % 11
    ids.astype(np.uint16).tofile(tmp_path / "train.bin")
    trainer = new_trainer(tmp_path, Saver(tmp_path / RECORDING, {1}))
    trainer.data = TokenData(np.memmap(tmp_path / "train.bin", np.uint16, "r"), block_size=8)
    trainer.fit()
    with pytest.raises(CheckpointError, match="does not hold its data"):
        Trainer.resume(tmp_path, step=1)
    back = Trainer.resume(tmp_path, data=TokenData(ids), step=1)
    np.testing.assert_array_equal(back.fit()["loss"], trainer.history["loss"])
