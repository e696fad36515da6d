"""A GPT on the cuda row beside the same on the numpy row: training steps and generation."""

import numpy as np

import minigpt as mg
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer

TINY = {"vocab_size": 11, "block_size": 6, "n_layer": 1, "n_head": 2, "n_embd": 8}
MEDIUM = {"vocab_size": 1009, "block_size": 128, "n_layer": 4, "n_head": 4, "n_embd": 256}


class Batches:
    """Random ids and targets, the same for every trainer; some targets do not count."""

    def __init__(self, vocabulary: int, length: int):
        self.vocabulary, self.length = vocabulary, length

    def batch(self, rng, n):
        own = np.random.default_rng(int(rng.integers(1 << 30)))
        ids, targets = own.integers(0, self.vocabulary, (2, n, self.length))
        targets[0, :2] = -100
        return {"ids": ids, "targets": targets}


def gpt(shape: dict, seed: int, **changes) -> GPT:
    return GPT(GPTConfig(**{**shape, **changes}), seed=seed)


def trained(backend: str, shape: dict, seed: int, steps=2, batch=2, **changes):
    """Losses of some steps, the gradients of the last and the parameters after it."""
    config = TrainConfig(
        steps=steps, batch_size=batch, lr=1e-2, min_lr=1e-3, warmup=1, backend=backend, workers=1, progress=False,
        seed=seed,
    )  # fmt: skip
    trainer = Trainer(gpt(shape, seed, **changes), Batches(shape["vocab_size"], shape["block_size"]), config)
    losses = [trainer.step() for _ in range(steps)]
    gradients = {name: mg.Tensor(p.grad).numpy() for name, p in trainer.model.named_parameters()}
    return losses, gradients, trainer.model.state_dict()


def check_training(shape: dict, seed: int, steps=2, batch=2, tolerance=1e-5, exceptions=0.0, **changes) -> None:
    """tolerance: of losses, of the largest gradient, and of parameters, which are some hundredths large.

    exceptions: share of the parameters that may differ by more. Adam divides a gradient by its own size, so one that is
    hardly more than rounding errors moves its parameter as far as any other.
    """
    ours, reference = (trained(backend, shape, seed, steps, batch, **changes) for backend in ("cuda", "numpy"))
    np.testing.assert_allclose(ours[0], reference[0], rtol=tolerance)
    largest = max(np.abs(g).max() for g in reference[1].values())
    for name, expected in reference[1].items():
        np.testing.assert_allclose(ours[1][name], expected, atol=tolerance * largest, rtol=0, err_msg=name)
    for name, expected in reference[2].items():
        apart = np.abs(ours[2][name] - expected)
        assert np.mean(~(apart <= tolerance)) <= exceptions, f"{name}: by up to {apart.max()}"


def check_losses(shape: dict, seed: int, steps: int, batch: int, tolerance=1e-3, **changes) -> None:
    """The losses of more steps, in which what Adam makes of rounding errors adds up."""
    ours, reference = (trained(backend, shape, seed, steps, batch, **changes)[0] for backend in ("cuda", "numpy"))
    np.testing.assert_allclose(ours, reference, rtol=tolerance)


def check_generation(shape: dict, seed: int, new=3) -> None:
    """The likeliest continuation, with the key-value cache and without: the ids of the numpy row."""
    prompt = np.random.default_rng(seed).integers(0, shape["vocab_size"], (2, 2))
    wanted = gpt(shape, seed).generate(prompt, new, temperature=0)
    model = gpt(shape, seed).to("cuda")
    np.testing.assert_array_equal(model.generate(prompt, new, temperature=0), wanted)
    np.testing.assert_array_equal(model.generate(prompt, new, temperature=0, use_cache=False), wanted)
