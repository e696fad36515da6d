"""What all of generation does between text and ids: check, encode, decode, and end each row at its own place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..decoding import Sampling, Step, beam_search, decode
from ..decoding.sampling import check_count
from ..errors import ArgumentError
from ..randomness import as_generator
from .special import end_token, start_ids
from .writer import Writer, stop_strings


def tokenizer_for(model, tok=None):
    """tok, or the model's own if None. Raises: TokenizerError if it has none, ArgumentError if tok knows too many."""
    tok = model.tokenizer if tok is None else tok
    if tok.vocab_size > model.config.vocab_size:
        raise ArgumentError(
            f"the tokenizer knows {tok.vocab_size} tokens, the model only {model.config.vocab_size}; "
            "they do not belong together"
        )
    return tok


class Job:
    """Continue each of the prompts n times; continuation p * n + j is the j-th of prompt p.

    prompts   texts; one that is empty starts from `<start>` or the end-of-text token
    sampling  how tokens are chosen; beams above 1: beam search instead of drawing, which uses of it the repetition
              penalty and min_new_tokens only
    stop      a string or several: a continuation ends before the first that is complete
    live      the text is wanted after every token
    Raises:   ArgumentError, TokenizerError (unknown characters, empty prompt without a token to start from)
    """

    def __init__(
        self, model, tok, prompts, max_new_tokens, sampling: Sampling, n=1, stop=None, seed=None, beams=1,
        length_penalty=1.0, live=False,
    ):  # fmt: skip
        self.model, self.tok = model, tokenizer_for(model, tok)
        sampling.check(model.config.vocab_size)
        check_count("max_new_tokens", max_new_tokens)
        check_count("n, the number of continuations,", n, 1)
        check_count("beams", beams, 1)
        if beams > 1 and (sampling.top_k is not None or sampling.top_p is not None):
            raise ArgumentError("beam search draws nothing: give beams, or top_k and top_p, not both")
        self.max_new_tokens, self.sampling, self.n, self.rng = max_new_tokens, sampling, int(n), as_generator(seed)
        self.beams, self.length_penalty = beams, length_penalty
        self.stops, self.eos_id = stop_strings(stop), end_token(self.tok)
        self.prompt_ids = [self._encoded(prompt) for prompt in prompts]
        self.writers = [Writer(self.tok, self.stops, ids, live) for ids in self.prompt_ids for _ in range(self.n)]
        self.ended = np.zeros(len(self.writers), bool)

    def _encoded(self, prompt) -> list[int]:
        if not isinstance(prompt, str):
            raise ArgumentError(f"prompt must be a string, got {type(prompt).__name__}")
        return self.tok.encode(prompt) or start_ids(self.tok)

    def steps(self) -> Iterator[Step]:
        """The steps of the decode loop, each after its tokens have reached the writers. Inside model.evaluating()."""
        reader = self.model.reader(self.prompt_ids, vocab_size=self.tok.vocab_size)
        drawn = decode(
            reader, self.max_new_tokens, self.sampling, self.rng, n=self.n, eos_id=self.eos_id, ended=self.ended
        )
        for step in drawn:
            for row, token_id in zip(step.rows.tolist(), step.ids.tolist(), strict=True):
                writer = self.writers[row]
                if token_id == self.eos_id:
                    writer.end()
                else:
                    writer.push(token_id)
                    self.ended[row] = writer.done
            yield step

    def run(self) -> list[str]:
        """All continuations, to their ends."""
        with self.model.evaluating():
            if self.beams > 1:
                for k in range(len(self.prompt_ids)):
                    self._search(k)
            else:
                for _ in self.steps():
                    pass
        return [writer.finish() for writer in self.writers]

    def live_steps(self) -> Iterator[Step]:
        """The same as steps(), the model in evaluation mode only while it computes, not while the caller looks."""
        steps = self.steps()
        while True:
            with self.model.evaluating():
                step = next(steps, None)
            if step is None:
                return
            yield step

    def _search(self, k: int) -> None:
        prompt = self.prompt_ids[k]

        def stops_here(ids) -> bool:
            return self._written(Writer(self.tok, self.stops, prompt), ids).reason == "stop"

        found = beam_search(
            self.model.reader([prompt], vocab_size=self.tok.vocab_size), self.max_new_tokens, self.beams, n=self.n,
            length_penalty=self.length_penalty, eos_id=self.eos_id, ends=stops_here if self.stops else None,
            repetition_penalty=self.sampling.repetition_penalty, min_new_tokens=self.sampling.min_new_tokens,
        )  # fmt: skip
        if len(found) < self.n:
            raise ArgumentError(
                f"there are only {len(found)} continuations of {self.max_new_tokens} tokens to find, n is {self.n}"
            )
        for writer, hypothesis in zip(self.writers[k * self.n :], found, strict=False):
            self._written(writer, hypothesis.ids)

    def _written(self, writer: Writer, ids) -> Writer:
        for token_id in ids.tolist():
            if token_id == self.eos_id:
                writer.end()
            elif not writer.done:
                writer.push(token_id)
        return writer
