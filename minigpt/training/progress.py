"""What a training run shows while it runs."""

from __future__ import annotations

import shlex
import sys
import time

SHOWN_EVERY = 0.1  # seconds; as often as tqdm draws its bar


class Progress:
    """A tqdm bar on stderr: loss, validation loss, learning rate, tokens/s, time left; silent if progress is off."""

    def __init__(self, trainer):
        self.trainer = trainer
        self.shown: dict[str, str] = {}

    def __enter__(self):
        from tqdm import tqdm  # slow to import; only a run needs it

        t = self.trainer
        config = t.config
        if config.progress:
            parameters = sum(p.size for p in t.model.parameters())
            how = f"on the {t.row!r} row, {t.workers.count} threads, seed {config.seed}"
            print(f"training {parameters:,} parameters {how}", file=sys.stderr)
        self.bar = tqdm(
            total=config.steps, initial=t.step_number, disable=not config.progress, unit="step", smoothing=0.1,
            dynamic_ncols=True, file=sys.stderr,
        )  # fmt: skip
        self.restart()
        return self

    def restart(self):
        """Count tokens per second from here on: what took its time before was no training."""
        self.before = (self.trainer.step_number, time.perf_counter())  # when a loss was shown last

    def due(self) -> bool:
        """Whether it is time to show a loss again. Who runs on a card waits for it only then."""
        return time.perf_counter() - self.before[1] >= SHOWN_EVERY

    def stepped(self, loss: float, step: int):
        """loss in nats per token; step: how many have been done"""
        t = self.trainer
        now = (step, time.perf_counter())
        steps, seconds = now[0] - self.before[0], now[1] - self.before[1]
        self.before = now
        block_size = getattr(t.data, "block_size", None) or 1
        tokens = t.config.batch_size * t.config.accumulate * block_size
        self.shown.update(loss=f"{loss:.3f}", lr=f"{t.optimizer.lr:.1e}", tok_s=f"{steps * tokens / seconds:,.0f}")
        self.bar.set_postfix(self.shown, refresh=False)
        self.bar.update(steps)

    def evaluated(self, loss: float):
        """loss in nats per token"""
        self.shown["val"] = f"{loss:.3f}"
        self.bar.set_postfix(self.shown, refresh=True)

    def restored(self, stopping):
        """stopping: an EarlyStopping that gave the best weights back"""
        if self.trainer.config.progress and stopping.step < self.trainer.step_number:
            why = "no lower since" if stopping.exhausted else "lowest at"
            self.bar.write(
                f"validation loss {why} step {stopping.step} ({stopping.loss:.4f}): its weights are back",
                file=sys.stderr,
            )

    def interrupted(self):
        if self.trainer.config.progress:
            self.bar.write(how_to_go_on(self.trainer), file=sys.stderr)

    def __exit__(self, *exc):
        self.bar.close()


def how_to_go_on(trainer) -> str:
    """What to tell who stopped a run."""
    out = trainer.config.out
    if out:
        how = f"saved in {out}; go on with\n  python -m minigpt {trainer.command} --resume {shlex.quote(out)}"
    else:
        how = "nothing was saved, since no `out` folder was set; the model in memory is as of this step"
    return f"stopped after step {trainer.step_number}; {how}"
