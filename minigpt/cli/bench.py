"""Measure what the README states.

recipe: train nanoGPT's CPU recipe once per seed and print the mean validation loss.
int8:   perplexity of a trained model with int8 weights beside that with its own.
time-to-loss: train in a fresh process until the whole validation part has a given loss; how long that took.
objectives: train a GPT and a MaskedLM on the same text and let both fill blanks, beside counts of both neighbours.
progressive: train a model that grows beside one that is deep from the start.
tasks: train small models on tasks from a fixed seed; accuracy on unseen questions, and what it took.
seq2seq: train small encoder-decoders (copy, reverse, dates, translation) and count what they answer exactly.
induction: train a small GPT on random texts that repeat themselves, and find the heads that copy.
train:  time whole training steps beside PyTorch (where it is installed), in turn, and beside the matrix products alone.
decode: tokens a second of a single text beside Transformers (where it is installed), in turn, and beside memory alone.
observers: time training steps while nobody observes beside steps that cannot be observed, in turn.
import: time `import minigpt` beside `import numpy`, in turn.
start:  time a fresh process up to the end of its first training step, with compiled kernels in the cache or without.
load: load a random GPT-2 from its files in fresh processes: peak memory beside the size of the files, and seconds.
recurrent: forward + backward of nn.LSTM, GRU and RNN beside PyTorch's, on one thread, in turn.
tokenizer: train byte-level BPE on Python's standard library and encode what was held out, beside Hugging Face's.
kernels: time every version of every kernel, CPU's or card's, with its share of this machine's roofline.
"""

from __future__ import annotations

from .bench_kernels import add_kernels
from .bench_learning import add_learning
from .bench_speed import add_speed

HELP = "measure the figures that the README states"
EXAMPLE = "minigpt bench recipe --data tinyshakespeare --seeds 3"


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", required=True, metavar="WHAT")
    add_learning(actions, EXAMPLE)
    add_speed(actions)
    add_kernels(actions)


def run(args) -> int:
    return args.measure(args)
