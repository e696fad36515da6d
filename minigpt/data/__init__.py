"""Data: corpora by name or path, downloads, token ids in windows; records, dialogues and tasks for fine-tuning."""

from __future__ import annotations

from .buckets import BucketedData
from .chinese import chinese_scenes
from .conversation import Conversation, Message
from .corpora import Corpus, load_corpus, python_prose, split_by_position
from .dialogue import DIALOGUE_TOKENS, add_dialogue_tokens, end_id, has_dialogue_tokens, render, render_prompt
from .masking import MaskedData, Masking
from .packing import PackedData
from .pairs import Pair, PairData
from .prepare import tokenize_and_split, train_tokenizer
from .records import Labelled, read_jsonl, read_records, read_tsv, write_jsonl
from .rendered import NO_LOSS, Rendered
from .splits import in_split, split_of
from .tokens import TokenData

__all__ = [
    "DIALOGUE_TOKENS", "NO_LOSS", "BucketedData", "Conversation", "Corpus", "Labelled", "MaskedData", "Masking",
    "Message", "PackedData", "Pair", "PairData", "Rendered", "TokenData", "add_dialogue_tokens", "chinese_scenes",
    "end_id", "has_dialogue_tokens", "in_split", "load_corpus", "python_prose", "read_jsonl", "read_records",
    "read_tsv", "render", "render_prompt", "split_by_position", "split_of", "tokenize_and_split", "train_tokenizer",
    "write_jsonl",
]  # fmt: skip
