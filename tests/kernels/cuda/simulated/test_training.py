"""A whole training step of a tiny GPT on the simulated card, beside the numpy row."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.backend import row_of
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer

V, T = 11, 6


class Batches:
    """The same batches for every trainer."""

    def batch(self, rng, n):
        ids, targets = np.random.default_rng(int(rng.integers(1 << 30))).integers(0, V, (2, n, T))
        targets[0, :2] = -100
        return {"ids": ids, "targets": targets}


def tiny(**changes):
    settings = {"vocab_size": V, "block_size": T, "n_layer": 1, "n_head": 2, "n_embd": 8, **changes}
    return GPT(GPTConfig(**settings), seed=3)


def trained(backend, steps=2, **changes):
    config = TrainConfig(
        steps=steps, batch_size=2, lr=1e-2, min_lr=1e-3, warmup=1, backend=backend, workers=1, progress=False, seed=4
    )
    trainer = Trainer(tiny(**changes), Batches(), config)
    losses = [trainer.step() for _ in range(steps)]
    gradients = {name: mg.Tensor(p.grad).numpy() for name, p in trainer.model.named_parameters()}
    return losses, gradients, trainer.model.state_dict()


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_losses_gradients_and_parameters_are_those_of_the_numpy_row(dropout):
    ours, reference = trained("cuda", dropout=dropout), trained("numpy", dropout=dropout)
    np.testing.assert_allclose(ours[0], reference[0], rtol=1e-5)
    largest = max(np.abs(g).max() for g in reference[1].values())
    for name, expected in reference[1].items():
        np.testing.assert_allclose(ours[1][name], expected, atol=1e-5 * largest, rtol=0, err_msg=name)
    for name, expected in reference[2].items():
        np.testing.assert_allclose(ours[2][name], expected, atol=1e-5, rtol=0, err_msg=name)


def test_a_model_that_was_moved_needs_nothing_else():
    model = tiny().to("cuda")
    assert all(row_of(p.data).name == "cuda" for p in model.parameters())
    ids = np.array([[1, 2, 3]])
    logits, loss = model(ids, ids)
    loss.backward()
    reference = tiny()
    wanted, wanted_loss = reference(ids, ids)
    wanted_loss.backward()
    np.testing.assert_allclose(logits.numpy(), wanted.numpy(), atol=1e-5)
    assert loss.item() == pytest.approx(wanted_loss.item(), rel=1e-5)
    np.testing.assert_allclose(mg.Tensor(model.wte.weight.grad).numpy(), reference.wte.weight.grad, atol=1e-5)
    back = model.to("numpy")
    np.testing.assert_array_equal(back.wte.weight.numpy(), reference.wte.weight.numpy())


def test_generation_with_the_cache_and_without():
    prompt = np.array([[1, 5], [7, 2]])
    wanted = tiny().generate(prompt, 3, temperature=0)
    model = tiny().to("cuda")
    np.testing.assert_array_equal(model.generate(prompt, 3, temperature=0), wanted)
    np.testing.assert_array_equal(model.generate(prompt, 3, temperature=0, use_cache=False), wanted)


def test_a_row_of_the_table_that_is_missing_says_so():
    with mg.use("cuda"), pytest.raises(mg.BackendError, match="cuda"):
        mg.functional.lstm_cell(np.ones((1, 12), np.float32), np.ones((1, 3), np.float32))


def test_a_step_that_failed_is_found_late_and_has_moved_nothing(monkeypatch):
    """Losses of three steps are fetched together; the second is NaN, so the third moves nothing either."""
    monkeypatch.setattr("minigpt.training.progress.SHOWN_EVERY", 1e9)
    config = TrainConfig(steps=3, batch_size=2, lr=1e-2, warmup=1, backend="cuda", workers=1, progress=False, seed=4)
    trainer = Trainer(tiny(), Batches(), config)
    loss_sum, after_first = trainer.model.loss_sum, {}

    def nan_in_the_second(**batch):
        if trainer.step_number == 1:
            after_first.update(trainer.model.state_dict())
        loss, count = loss_sum(**batch)
        return (loss * np.nan if trainer.step_number == 1 else loss), count

    monkeypatch.setattr(trainer.model, "loss_sum", nan_in_the_second)
    with pytest.raises(mg.errors.NumericsError, match="step 2: the loss is nan"):
        trainer.fit()
    assert trainer.step_number == len(trainer.history["loss"]) == 1
    assert trainer.optimizer.steps == 1
    assert after_first
    for name, p in trainer.model.state_dict().items():
        np.testing.assert_array_equal(p, after_first[name])
