"""A model of any kind, and the folder that it comes back from as the same class with the same numbers."""

import numpy as np
import pytest

from minigpt.errors import CheckpointError
from minigpt.files import FileGroup
from minigpt.models import GPT, GPTClassifier, GPTConfig, RecurrentConfig, RecurrentLM, load_model
from minigpt.models.loading import add_files
from minigpt.nn import Linear
from minigpt.training import TrainConfig, Trainer


def gpt():
    return GPT(GPTConfig(vocab_size=9, block_size=8, n_layer=1, n_head=2, n_embd=8), seed=0)


MODELS = {
    "gpt": gpt,
    "classifier": lambda: GPTClassifier(gpt(), ["good", "bad"]),
    "recurrent": lambda: RecurrentLM(RecurrentConfig(vocab_size=9, n_layer=1, n_embd=8), seed=0),
}


@pytest.mark.parametrize("kind", MODELS)
def test_comes_back_as_what_it_was(kind, tmp_path):
    model = MODELS[kind]()
    with FileGroup(tmp_path) as files:
        add_files(files, model)
    back = load_model(tmp_path)
    assert type(back) is type(model)
    ours, theirs = model.state_dict(), back.state_dict()
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        np.testing.assert_array_equal(theirs[name], array, err_msg=name)


def test_what_cannot_be_saved_is_told_what_can(tmp_path):
    with pytest.raises(
        CheckpointError,
        match=r"GPT, GPTClassifier, EncoderDecoder.*RecurrentSeq2Seq.*add_files\(files\); this is a Linear",
    ):
        add_files(FileGroup(tmp_path), Linear(2, 3))


class Letters:
    """Random letters, always the same for the same generator."""

    def batch(self, rng, n):
        ids = rng.integers(0, 9, (n, 6))
        return {"ids": ids[:, :-1], "targets": ids[:, 1:]}


def test_a_recurrent_model_goes_on_bit_for_bit(tmp_path):
    def trainer():
        config = TrainConfig(steps=4, batch_size=3, lr=1e-2, warmup=1, backend="numpy", workers=1, progress=False)
        return Trainer(MODELS["recurrent"](), Letters(), config)

    whole, first = trainer(), trainer()
    losses = [whole.step() for _ in range(4)]
    assert [first.step() for _ in range(2)] == losses[:2]
    first.save(tmp_path)
    second = Trainer.resume(tmp_path, data=Letters())
    assert [second.step() for _ in range(2)] == losses[2:]
