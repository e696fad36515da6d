"""Write bpe.json: what Hugging Face's `tokenizers` learns, encodes and decodes, for the tests to compare with.

    python -m tests.golden.make_golden_bpe            write bpe.json beside this script
    python -m tests.golden.make_golden_bpe --check    compute all again and compare with the file, write nothing

Run by hand, from the root of the repository, where tokenizers is installed; the tests do not need it (README.md).
"""

import argparse
import json
import random
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

PATH = Path(__file__).parent / "bpe.json"
N_TEXTS = 250

# Texts are put together from these: runs of one alphabet, and words that training has seen.
ALPHABETS = [
    "abcdefgh", "ABCDEFGHIJ", "0123456789²½Ⅷ٣", " ", " ", " \n\t",
    " \r\x0b\x0c\x1c\x1f\x85\xa0\u2003\u3000\u200b\ufeff\u2028",
    "!?.,;:'\"<>|-_=()[]{}", "你好世界，。的", "éüñßçøåÄ",
    "😀👨👩👧\u200d🏳️🌈", "\x00\x01\x7f\x80\x9f", "אבגדعربي", "ae\u0301\u0308", "①𝟘𝔸Ω",
]  # fmt: skip
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "’s", "''s"]
SYLLABLES = ["ka", "lo", "mi", "ne", "ru", "sha", "ti", "wo", "xe", "you", "z", "ing", "er", "好", "é", "ния"]


def words(rng: random.Random, n: int) -> list[str]:
    return ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(n)]


def training_text(rng: random.Random) -> str:
    """Words of which few are frequent, with some signs, numbers and line ends between."""
    lexicon = words(rng, 400)
    weights = [1 / (rank + 1) for rank in range(len(lexicon))]
    between = [" ", " ", " ", " ", ", ", ".\n", "\n\n    ", "'s ", " 12", " = ", "😀", "。"]
    return "".join(word + rng.choice(between) for word in rng.choices(lexicon, weights, k=3000))


def fuzzed_text(rng: random.Random, names: list[str]) -> str:
    parts = []
    for _ in range(rng.randint(1, 10)):
        kind = rng.random()
        if kind < 0.6:
            parts.append("".join(rng.choices(rng.choice(ALPHABETS), k=rng.randint(1, 8))))
        elif kind < 0.7:
            parts.append(rng.choice(CONTRACTIONS))
        elif kind < 0.75:
            parts.append(rng.choice("ak \n") * rng.randint(2, 300))  # above and below what is merged by a heap
        elif kind < 0.85 and names:
            parts.append(rng.choice(names))
        else:
            parts.append(" ".join(words(rng, 2)))
    return "".join(parts)


def byte_level(model: models.BPE) -> Tokenizer:
    tok = Tokenizer(model)
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    return tok


def answers(tok: Tokenizer, rng: random.Random, names: list[str]) -> dict:
    """Ids of fuzzed texts; texts of random ids, most of which are no valid UTF-8."""
    texts = [fuzzed_text(rng, names) for _ in range(N_TEXTS)]
    rows = [rng.choices(range(tok.get_vocab_size()), k=rng.randint(0, 12)) for _ in range(N_TEXTS // 2)]
    return {
        "encode": [[text, tok.encode(text).ids] for text in texts],
        "decode": [[ids, tok.decode(ids, skip_special_tokens=False), tok.decode(ids)] for ids in rows],
    }


def trained(rng: random.Random) -> tuple[dict, Tokenizer]:
    text = training_text(rng)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + 600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tok = byte_level(models.BPE())
    tok.train_from_iterator([text], trainer)
    model = json.loads(tok.to_str())["model"]
    case = {"text": text, "vocab_size": 256 + 600, "merges": model["merges"], **answers(tok, rng, [])}
    return case, tok


def with_added_tokens(tok: Tokenizer, rng: random.Random) -> dict:
    """Special and other added tokens in the middle and at the end of the ids, and merges in an order of chance.

    Merges in such an order tell the leftmost pair of lowest rank from other rules: a product may come before its parts.
    """
    merges = [tuple(merge) for merge in json.loads(tok.to_str())["model"]["merges"]]
    rng.shuffle(merges)
    tokens = [*pre_tokenizers.ByteLevel.alphabet(), *("".join(merge) for merge in merges)]
    tokens = sorted(dict.fromkeys(tokens))
    rng.shuffle(tokens)
    tokens.insert(100, "<|endoftext|>")
    tokens.insert(300, "<|im_start|>")
    added = byte_level(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    added.add_special_tokens(
        [AddedToken(name, special=True) for name in ("<|endoftext|>", "<|im_start|>", "<a", "<a>")]
    )
    added.add_tokens([AddedToken(name, normalized=False) for name in ("ka lo", " 好好", "\n\n\n")])
    names = ["<|endoftext|>", "<|im_start|>", "<a", "<a>", "ka lo", " 好好", "\n\n\n"]
    return {"tokenizer.json": json.loads(added.to_str()), **answers(added, rng, names)}


def compute() -> dict:
    rng = random.Random(5)
    case, tok = trained(rng)
    return {"trained": case, "added": with_added_tokens(tok, rng)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    content = json.dumps(compute(), separators=(",", ":")) + "\n"
    if parser.parse_args().check:
        same = PATH.read_text(encoding="utf-8") == content
        print("the file is what tokenizers computes now" if same else f"{PATH.name} differs from what is computed now")
        raise SystemExit(not same)
    PATH.write_text(content, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
