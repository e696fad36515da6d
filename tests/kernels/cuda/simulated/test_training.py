"""A whole training step of a tiny GPT on the simulated card, beside the numpy row."""

import numpy as np
import pytest
from cuda_model_checks import TINY, Batches, check_generation, check_training, gpt

import minigpt as mg
from minigpt.backend import row_of
from minigpt.data import TokenData
from minigpt.decoding import Sampling, beam_search, decode
from minigpt.inspect import Recorder, Recording
from minigpt.models import EncoderDecoder, EncoderDecoderConfig
from minigpt.training import TrainConfig, Trainer


def tiny():
    return gpt(TINY, seed=3)


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_losses_gradients_and_parameters_are_those_of_the_numpy_row(dropout):
    check_training(TINY, seed=4, dropout=dropout)


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
    check_generation(TINY, seed=3)


def test_a_row_of_the_table_that_is_missing_says_so():
    with mg.use("cuda"), pytest.raises(mg.BackendError, match="cuda"):
        mg.functional.lstm_cell(np.ones((1, 12), np.float32), np.ones((1, 3), np.float32))


def test_decoding_prompts_of_two_lengths_and_beams():
    """The cache keeps its rows on the card while they are repeated, reordered, masked and dropped."""
    written = {}
    for row in ("numpy", "cuda"):
        model = tiny().to(row).eval()
        with mg.no_grad():
            reader = model.reader([[1, 5, 3], [7]])
            steps = list(decode(reader, 3, Sampling(0), np.random.default_rng(0), n=2, ended=np.arange(4) == 1))
            beams = beam_search(model.reader([[1, 5]]), 3, 2)
        written[row] = [step.ids.tolist() for step in steps], [h.ids.tolist() for h in beams]
        assert (row_of(reader.cache.layers[0].k) is None) == (row == "numpy")
    assert written["cuda"] == written["numpy"]


def test_a_step_that_failed_is_found_late_and_has_moved_nothing(monkeypatch):
    """Losses of three steps are fetched together; the second is NaN, so the third moves nothing either."""
    monkeypatch.setattr("minigpt.training.progress.SHOWN_EVERY", 1e9)
    config = TrainConfig(steps=3, batch_size=2, lr=1e-2, warmup=1, backend="cuda", workers=1, progress=False, seed=4)
    trainer = Trainer(tiny(), Batches(TINY["vocab_size"], TINY["block_size"]), config)
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


def test_an_encoder_decoder_with_its_masks_and_cache():
    config = EncoderDecoderConfig(7, 4, 1, 2, 8, start_id=1, end_id=2)
    batch = {
        "src": np.array([[3, 4], [5, 0]]), "src_mask": np.array([[True, True], [True, False]]),
        "tgt": np.array([[1, 4], [1, 3]]), "targets": np.array([[4, 2], [3, -100]]),
    }  # fmt: skip
    results = []
    for row in ("numpy", "cuda"):
        model = EncoderDecoder(config, seed=2).to(row)
        with mg.use(row):
            loss, count = model.loss_sum(**batch)
            loss.backward()
            written = model.generate([[3, 4], [5]], 2)
        gradients = {name: mg.Tensor(p.grad).numpy() for name, p in model.named_parameters()}
        results.append((loss.item(), count, gradients, written))
    (loss, count, gradients, written), (wanted, wanted_count, wanted_gradients, wanted_ids) = results[::-1]
    assert loss == pytest.approx(wanted, rel=1e-5)
    assert count == wanted_count == 3
    np.testing.assert_array_equal(written, wanted_ids)
    for name, grad in wanted_gradients.items():
        np.testing.assert_allclose(gradients[name], grad, atol=1e-5, err_msg=name)


def test_checkpoints_and_recordings_of_a_model_on_the_card(tmp_path):
    """The moments lie on the card too: saving them from outside of the row used to fail."""
    config = TrainConfig(steps=1, batch_size=1, warmup=1, backend="cuda", progress=False, out=str(tmp_path))
    model = gpt({"vocab_size": 5, "block_size": 2, "n_layer": 1, "n_head": 1, "n_embd": 4}, 3)
    trainer = Trainer(model, TokenData(np.arange(60) % 5), config, Recorder([[1, 2]], steps=[1], weights=True))
    trainer.fit()
    assert Recording.load(tmp_path)["h.0.attn.weights"].shape == (1, 1, 2, 2)
    moments = trainer.optimizer.state
    for back in (Trainer.resume(tmp_path), Trainer.resume(tmp_path, step=1)):
        assert back.row == "cuda"
        for name, array in back.model.state_dict().items():
            np.testing.assert_array_equal(array, trainer.model.state_dict()[name])
        for number, state in back.optimizer.state.items():
            np.testing.assert_array_equal(mg.Tensor(state["m"]).numpy(), mg.Tensor(moments[number]["m"]).numpy())
