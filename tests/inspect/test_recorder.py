"""The time machine: what is recorded, that nothing of the training changes, that every way to end leaves it whole."""

import signal

import numpy as np
import pytest

from minigpt.backend import use
from minigpt.data import TokenData
from minigpt.errors import ArgumentError, ConfigError, ShapeError, TokenizerError
from minigpt.files import read_tensors
from minigpt.inspect import Recorder, Recording, capture
from minigpt.inspect.recorder import default_steps
from minigpt.models import GPT, EncoderDecoder, EncoderDecoderConfig, GPTConfig, RecurrentConfig, RecurrentLM
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer

TEXT = "the cat sat on the mat. "
TOK = CharTokenizer.train(TEXT)
ROWS = [("numpy", 1), ("cpu", 2)]


def new_trainer(out=None, recorder=None, row="numpy", workers=1, **changes):
    model = GPT(GPTConfig(TOK.vocab_size, block_size=8, n_layer=2, n_head=2, n_embd=8, dropout=0.2), seed=0)
    model.tokenizer = TOK
    usual = {"steps": 8, "batch_size": 2, "warmup": 2, "lr": 1e-2, "accumulate": 2, "eval_interval": 2}
    config = TrainConfig(
        **{**usual, "out": out and str(out), "backend": row, "workers": workers, "progress": False, **changes}
    )
    ids = np.array(TOK.encode(TEXT * 5))
    return Trainer(model, TokenData(ids, ids[:40]), config, recorder)


def everything(trainer) -> dict[str, np.ndarray]:
    """All that a later step depends on, and what was noted so far."""
    return {
        **{f"model.{k}": a for k, a in trainer.model.state_dict().items()},
        **{f"optimizer.{k}": a for k, a in trainer.optimizer.state_dict().items()},
        **{f"history.{k}": a for k, a in trainer.history.items()},
        "rng": np.array(str(trainer.rng.bit_generator.state)),
        "step": np.array(trainer.step_number),
    }


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name, strict=True)


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("total", "every", "wanted"),
    [
        (1, None, [0, 1]),
        (8, None, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (10, 4, [0, 1, 2, 4, 8, 10]),
        (100, 1000, [0, 1, 2, 4, 8, 16, 32, 64, 100]),
        (200, None, [0, 1, 2, 4, 8, *range(10, 201, 10)]),
    ],
)
def test_default_steps(total, every, wanted):
    assert default_steps(total, every) == wanted


@pytest.mark.parametrize(("row", "workers"), ROWS)
def test_what_is_recorded_is_what_capture_sees_at_that_step(tmp_path, row, workers):
    """Within float16: half a unit in the last of 11 bits, and what lies below its smallest number."""
    names = ["*.weights", "h.1", "output", "wpe"]
    new_trainer(tmp_path, Recorder(["the cat", "mat"], names, weights=True), row, workers).fit()
    rec = Recording.load(tmp_path)
    assert rec.steps.tolist() == rec.snapshots == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert rec.prompts == ["the cat", "mat"]
    assert rec.names == ["wpe", "h.0.attn.weights", "h.1.attn.weights", "h.1", "output"]
    assert rec["h.0.attn.weights"].shape == (9, 2, 7, 7)
    assert rec["wpe", "mat"].shape == (9, 3, 8)  # has no batch axis that could go
    for step in rec.steps:
        model = GPT.from_pretrained(tmp_path / f"recording/weights_{step:08d}")
        for prompt, text in enumerate(rec.prompts):
            with use(row), capture(model) as acts:
                model(np.array([TOK.encode(text)]))
            here = rec.at(step, text)
            for name in rec.names:
                seen = acts[name][0] if acts[name].ndim > 2 else acts[name]
                np.testing.assert_allclose(here[name], seen, rtol=2**-11, atol=2**-25, err_msg=name)
                np.testing.assert_array_equal(rec[name, prompt][step], here[name])
    assert not np.array_equal(rec["output"][0], rec["output"][-1])


@pytest.mark.parametrize(("row", "workers"), ROWS)
def test_recording_changes_no_bit_of_the_training(tmp_path, row, workers):
    plain, recorded = new_trainer(row=row, workers=workers), new_trainer(tmp_path, Recorder("cat"), row, workers)
    plain.fit()
    recorded.fit()
    assert_same_bits(everything(recorded), everything(plain))
    assert recorded.model.training == plain.model.training


@pytest.mark.parametrize(("row", "workers"), ROWS)
def test_going_on_from_any_recorded_step(tmp_path, row, workers):
    """Evaluations included: the checkpoint of a step is taken after that step's evaluation."""
    whole = new_trainer(tmp_path, Recorder("cat", steps=[0, 1, 4, 7, 8], weights=True), row, workers)
    whole.fit()
    before = contents(tmp_path)
    for step in (0, 1, 4, 7, 8):
        back = Trainer.resume(tmp_path, step=step)
        assert (back.step_number, back.config.out, back.row) == (step, None, row)
        back.fit()
        assert_same_bits(everything(back), everything(whole))
    assert contents(tmp_path) == before


def test_the_branch_can_be_recorded_too(tmp_path):
    new_trainer(tmp_path / "run", Recorder("cat", weights=True)).fit()
    recorder = Recorder.of(tmp_path / "run", into=tmp_path / "branch" / "recording")
    Trainer.resume(tmp_path / "run", step=5, out=tmp_path / "branch", recorder=recorder).fit()
    first, second = Recording.load(tmp_path / "run"), Recording.load(tmp_path / "branch")
    assert second.steps.tolist() == second.snapshots == [5, 6, 7, 8]
    np.testing.assert_array_equal(second.loss["losses"], first.loss["losses"])
    np.testing.assert_array_equal(second["h.1.attn.weights"], first["h.1.attn.weights"][5:])
    assert Trainer.resume(tmp_path / "branch").step_number == 8  # with its data


@pytest.mark.parametrize("patience", [None, 100])
def test_size_stated_is_size_on_disk(tmp_path, patience):
    recorder = Recorder(["the cat", "m"], ["*.weights", "h.*.mlp.hidden"], every=3, weights=True)
    trainer = new_trainer(tmp_path, recorder, patience=patience, eval_interval=1)
    assert recorder.due(trainer)
    stated, about = recorder.bytes, recorder.weight_bytes
    trainer.fit()
    folder = tmp_path / "recording"
    files = [path for path in folder.iterdir() if path.is_file() and path.name != "data.safetensors"]
    assert sum(path.stat().st_size for path in files) == stated
    rest = [path for path in folder.rglob("*") if path.is_file() and path not in files]
    arrays = [read_tensors(path) for path in rest if path.suffix == ".safetensors"]
    small = 1000 * len(recorder.steps)  # counters, checksums, evaluations
    assert about <= sum(a.nbytes for file in arrays for a in file.values()) <= about + small


def test_a_few_megabytes_for_a_whole_run_of_the_baby(tmp_path):
    """All four layers' four heads on a prompt as long as the context, at the default steps of 2000."""
    model = GPT(GPTConfig.named("baby", TOK.vocab_size), seed=0)
    ids = np.array(TOK.encode(TEXT * 20))
    config = TrainConfig(steps=2000, out=str(tmp_path), backend="numpy", workers=1, progress=False)
    recorder = Recorder([ids[: model.config.block_size]])
    assert recorder.due(Trainer(model, TokenData(ids), config, recorder))
    assert 3e6 < recorder.bytes < 5e6


def test_a_loop_over_step_records_too(tmp_path):
    trainer = new_trainer(tmp_path, Recorder("cat", steps=[0, 2, 3]))
    for _ in range(4):
        trainer.step()
    rec = Recording.load(tmp_path)
    assert rec.steps.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(rec.loss["losses"], trainer.history["loss"][:3])


# --- however a run ends -------------------------------------------------------------------------------------------


def stop_at(trainer, step, how):
    """The data of the trainer, which ends the run in the middle of that step."""
    data, batch, ends = trainer.data, trainer.data.batch, [how]

    def ending(rng, n):
        if trainer.step_number == step and ends:
            ends.pop()()
        return batch(rng, n)

    data.batch = ending


def crash():
    raise ZeroDivisionError("a crash")


def test_after_a_crash_the_recording_is_read_and_gone_on_with(tmp_path):
    """Checkpoints at 3 and 6, a crash in the eighth step, going on from 6: nothing is missing or there twice."""
    new_trainer(tmp_path / "whole", Recorder(["cat", "mat"], weights=True), save_interval=3).fit()
    trainer = new_trainer(tmp_path / "run", Recorder(["cat", "mat"], weights=True), save_interval=3)
    stop_at(trainer, 7, crash)
    with pytest.raises(ZeroDivisionError):
        trainer.fit()
    half = tmp_path / "run/recording/.step_00000008.safetensors.0f0f0f0f.part"
    half.write_bytes(b"half a file")
    rec = Recording.load(tmp_path / "run")
    assert rec.steps.tolist() == rec.snapshots == [0, 1, 2, 3, 4, 5, 6, 7]
    assert rec["h.0.attn.weights"].shape == (8, 2, 3, 3)
    half.unlink()
    resumed = Trainer.resume(tmp_path / "run", recorder=Recorder.of(tmp_path / "run"))
    assert resumed.step_number == 6
    assert resumed.recorder.due(resumed) is False
    assert Recording.load(tmp_path / "run").steps.tolist() == [0, 1, 2, 3, 4, 5, 6]
    resumed.fit()
    assert contents(tmp_path / "run/recording") == contents(tmp_path / "whole/recording")
    assert Recording.load(tmp_path / "run").snapshots == [0, 1, 2, 3, 4, 5, 6, 7, 8]


def test_after_ctrl_c(tmp_path):
    new_trainer(tmp_path / "whole", Recorder("cat", every=3)).fit()
    trainer = new_trainer(tmp_path / "run", Recorder("cat", every=3))
    stop_at(trainer, 4, lambda: signal.raise_signal(signal.SIGINT))
    trainer.fit()
    assert trainer.interrupted
    assert Recording.load(tmp_path / "run").steps.tolist() == [0, 1, 2, 3]
    Trainer.resume(tmp_path / "run", recorder=Recorder.of(tmp_path / "run")).fit()
    assert contents(tmp_path / "run/recording") == contents(tmp_path / "whole/recording")


def test_recording_can_begin_later(tmp_path):
    trainer = new_trainer(tmp_path)
    trainer.step()
    trainer.save()
    resumed = Trainer.resume(tmp_path, recorder=Recorder("cat"))
    resumed.step()
    rec = Recording.load(tmp_path)
    assert rec.steps.tolist() == [1, 2]
    np.testing.assert_array_equal(rec.loss["losses"], resumed.history["loss"])


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Recorder("the cat sat on"), ShapeError, r"prompt 0, 'the cat sat on', cannot be recorded: .*14.*8"),
        (lambda: Recorder(["cat", "dog"]), TokenizerError, "'d'"),
        (lambda: Recorder(""), ArgumentError, "a text or ids"),
        (lambda: Recorder(np.zeros((1, 2), int)), ArgumentError, "a text or ids"),
        (lambda: Recorder("cat", "h.9.attn.weights"), ArgumentError, r"no activation is called 'h\.9.*h\.0\.attn"),
        (lambda: Recorder("cat", steps=[0, 9]), ConfigError, "step 9 cannot be recorded: the run ends after step 8"),
        (lambda: Recorder("cat", steps=[-1]), ConfigError, "integers from 0 up, got -1"),
        (lambda: Recorder("cat", every=0), ConfigError, "integers from 1 up, got 0"),
        (lambda: Recorder("cat", every=2, steps=[1]), ConfigError, "not both"),
        (lambda: Recorder([]), ConfigError, "at least one prompt"),
        (lambda: Recorder("cat", limit=1000), ConfigError, r"9 steps into .*more than the limit of 0 MB: record fewer"),
        (lambda: Recorder("cat", weights=True, limit=60_000), ConfigError, "leave the weights out"),
    ],
    ids=range(12),
)
def test_refused_before_anything_is_written(tmp_path, make, kind, message):
    with pytest.raises(kind, match=message):
        new_trainer(tmp_path / "run", make()).fit()
    assert not (tmp_path / "run").exists()


def test_a_recorder_needs_a_folder(tmp_path):
    with pytest.raises(ConfigError, match="needs a folder"):
        new_trainer(None, Recorder("cat")).fit()
    new_trainer(None, Recorder("cat", folder=tmp_path / "here")).fit()
    assert len(Recording.load(tmp_path / "here").steps) == 9


def test_the_recording_of_another_run_stays(tmp_path):
    new_trainer(tmp_path / "a", Recorder("cat"), seed=1).fit()
    before = contents(tmp_path / "a/recording")
    with pytest.raises(ConfigError, match="recording of another run, steps 0 to 8"):
        new_trainer(tmp_path / "a", Recorder("cat")).fit()
    other = new_trainer(tmp_path / "b", seed=2)
    other.step()
    other.save()
    with pytest.raises(ConfigError, match="recording of another run"):
        Trainer.resume(tmp_path / "b", recorder=Recorder("cat", folder=tmp_path / "a/recording")).fit()
    same = Trainer.resume(tmp_path / "a", recorder=Recorder(["cat", "mat"]))
    with pytest.raises(ConfigError, match="other prompts or names"):
        same.fit()
    assert contents(tmp_path / "a/recording") == before


def test_numbers_beyond_float16_are_told(tmp_path):
    trainer = new_trainer(tmp_path, Recorder("cat", "h.0", steps=[0]))
    trainer.model.wte.weight.data *= 1e7
    with pytest.warns(UserWarning, match=r"0/h\.0: float16 ends at 65504"):
        trainer.step()
    assert np.isinf(Recording.load(tmp_path)["h.0"]).any()


# --- reading ----------------------------------------------------------------------------------------------------------


def test_what_was_not_recorded_is_said_with_what_is_near(tmp_path):
    new_trainer(tmp_path, Recorder([[1, 2, 3]], every=4)).fit()
    rec = Recording.load(tmp_path / "recording")
    assert rec.prompts == [" ".join(TOK.decode([i]) for i in (1, 2, 3))]
    assert repr(rec) == "Recording(1 prompts, 2 names, 5 steps, 0 to 8)"
    with pytest.raises(ArgumentError, match=r"'h\.0\.attn\.weight' was recorded; nearest: h\.0\.attn\.weights"):
        rec["h.0.attn.weight"]
    with pytest.raises(ArgumentError, match="step 3 was not recorded; the nearest: 0, 1, 2, 4"):
        rec.at(3)
    with pytest.raises(ArgumentError, match="nearest"):
        rec.at(4)["h.7.attn.weights"]
    for prompt in (1, -1, "dog", True):
        with pytest.raises(ArgumentError, match="there is no prompt"):
            rec["h.0.attn.weights", prompt]
    with pytest.raises(Exception, match=r"recording\.json is missing"):
        Recording.load(tmp_path / "nowhere")


# --- other models -----------------------------------------------------------------------------------------------------


class Copying:
    """Batches for a model that reads a source and a target."""

    def batch(self, rng, n):
        ids = rng.integers(1, 9, (n, 5))
        return {"src": ids, "tgt": ids, "targets": ids}


def test_models_of_other_families(tmp_path):
    reader = RecurrentLM(RecurrentConfig(vocab_size=9, n_layer=1, n_embd=6), seed=0)
    shape = EncoderDecoderConfig(9, block_size=8, n_layer=1, n_head=2, n_embd=8, start_id=1, end_id=2)
    pairs = EncoderDecoder(shape, seed=0)
    cross = next(name for name, _ in pairs.named_modules() if name.endswith("cross"))
    config = TrainConfig(steps=2, batch_size=2, backend="numpy", workers=1, progress=False)
    recorder = Recorder([1, 2, 3], "output", folder=tmp_path / "reader")
    Trainer(reader, TokenData(np.arange(100) % 9, block_size=4), config, recorder).fit()
    assert Recording.load(tmp_path / "reader")["output"].shape == (3, 3, 9)
    Trainer(pairs, Copying(), config, Recorder(([1, 2, 3], [4, 5]), folder=tmp_path / "pairs")).fit()
    rec = Recording.load(tmp_path / "pairs")
    assert rec[f"{cross}.weights"].shape == (3, 2, 2, 3)
    np.testing.assert_allclose(rec[f"{cross}.weights"].sum(-1), 1, rtol=2e-3)
    assert rec.tokens() == ["4", "5"]
