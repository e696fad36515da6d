"""A model that gives the answers it is told to, for tests of chat; run as a program, `minigpt chat` talks with it.

python scripted_chat.py --model anything …     DELAY in the environment: seconds for each token
"""

import os
import signal
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

import numpy as np

from minigpt.cli import main
from minigpt.data import add_dialogue_tokens
from minigpt.decoding import Reader
from minigpt.errors import ArgumentError
from minigpt.tokenizers import BPETokenizer

ANSWERS = {"hi": "hello", "two lines": "a\nb\\n", "greek": "λόγος 🚀", "nothing": "", "long": "word " * 400}


def byte_tokenizer(dialogue=True):
    """One id for each byte, so that most characters take several tokens; and the dialogue tokens."""
    tok = BPETokenizer.train("", vocab_size=256)
    if dialogue:
        add_dialogue_tokens(tok)
    return tok


class Cache:
    """Holds the ids themselves; a token read twice or left out shows in what the model is asked."""

    def __init__(self, batch):
        assert batch == 1
        self.ids = []

    @property
    def length(self):
        return len(self.ids)

    def rewind(self, length):
        if length > self.length:
            raise ArgumentError("the cache holds less")
        del self.ids[length:]


class ScriptedChat:
    """answers: what to say to each message of a user, a function of the text so far, or a dict (others: "what?").

    Ids of an answer may be given instead of its text. Attributes: fed, the ids of each step; seen, each whole text
    """

    def __init__(self, answers, block_size=10_000, delay=0.0, dialogue=True):
        self.tokenizer = byte_tokenizer(dialogue)
        self.answers, self.delay = answers if callable(answers) else self._look_up(answers), delay
        self.config = SimpleNamespace(vocab_size=self.tokenizer.vocab_size + 3, block_size=block_size)
        self.fed, self.seen, self.quiet = [], [], False

    @staticmethod
    def _look_up(answers):
        return lambda text: answers.get(text.rsplit("<|user|>", 1)[-1].split("<|end|>")[0], "what?")

    @contextmanager
    def evaluating(self):
        self.quiet = True
        yield self
        self.quiet = False

    def quantize(self):
        return self

    def reader(self, prompts, use_cache=True, vocab_size=None, cache=None):
        return Reader(
            self.next_logits, Cache, prompts, cache=cache, block_size=self.config.block_size, vocab_size=vocab_size
        )

    def next_logits(self, ids, cache):
        assert self.quiet, "outside of model.evaluating()"
        time.sleep(self.delay)
        self.fed.append(ids[0].tolist())
        cache.ids += self.fed[-1]
        assert cache.length <= self.config.block_size
        text, special = list(cache.ids), self.tokenizer.special_tokens
        start = special.get("<|assistant|>")
        begun = len(text) - text[::-1].index(start) if start in text else self.prompt_length(text)
        if begun == len(text):
            self.seen.append(self.tokenizer.decode(text))
        answer = self.answers(self.tokenizer.decode(text[:begun]))
        script = self.tokenizer.encode(answer) if isinstance(answer, str) else list(answer)
        script.append(special.get("<|end|>", 0))
        logits = np.zeros((1, self.config.vocab_size), np.float32)
        logits[0, script[min(len(text) - begun, len(script) - 1)]] = 50.0
        logits[0, -1] = 99.0  # ids that the tokenizer does not have must not be drawn
        return logits

    def prompt_length(self, text):
        return min(len(text), len(self.fed[0]))  # for models without dialogue: one prompt only


if __name__ == "__main__":
    # A shell script starts what it puts into the background with Ctrl-C ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    model = ScriptedChat(ANSWERS, delay=float(os.environ.get("DELAY", 0)), dialogue="PLAIN" not in os.environ)
    with mock.patch("minigpt.models.GPT.from_pretrained", return_value=model):
        sys.exit(main(["chat", "--backend", "numpy", *sys.argv[1:]]))
