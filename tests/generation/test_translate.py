"""translate: texts in their own order whatever is read together; exact match; BLEU."""

import importlib.util
import sys

import numpy as np
import pytest

import minigpt as mg
from minigpt.generation.translate import before_end, bleu, exact_match, translate
from minigpt.models import EncoderDecoder, EncoderDecoderConfig
from minigpt.tokenizers import CharTokenizer


@pytest.fixture(scope="module")
def model():
    tok = CharTokenizer("abcdef", ("<pad>", "<start>", "<end>"))
    made = EncoderDecoder(EncoderDecoderConfig(tok.vocab_size, 8, 1, 2, 8, start_id=7, end_id=8), seed=1)
    for p in made.parameters():
        p.data *= 3
    made.tokenizer = tok
    return made


def test_order_and_batches_change_nothing(model):
    texts = ["abc", "f", "deadbe", "ba", "c"]
    together = translate(model, None, texts)
    assert together == [translate(model, model.tokenizer, [text])[0] for text in texts]
    assert together == translate(model, None, texts, batch_size=2)
    assert len(set(together)) > 1
    assert translate(model, None, texts, max_new_tokens=1, beams=2) is not None
    assert translate(model, None, []) == []


def test_a_source_with_a_tokenizer_of_its_own():
    numbers, letters = CharTokenizer("0123"), CharTokenizer("ab", ("<start>", "<end>"))
    config = EncoderDecoderConfig(4, 8, 1, 2, 8, start_id=2, end_id=3, src_vocab_size=4)
    model = EncoderDecoder(config, seed=0)
    (text,) = translate(model, letters, ["0321"], src_tokenizer=numbers)
    assert text == letters.decode(before_end(model.generate([[0, 3, 2, 1]])[0], 3))
    with pytest.raises(mg.ArgumentError, match="pass src_tokenizer"):
        translate(model, letters, ["ab"])


def test_what_stands_before_the_end():
    assert before_end(np.array([3, 4, 8, 8]), 8).tolist() == [3, 4]
    assert before_end(np.array([8, 3]), 8).tolist() == []
    assert before_end(np.array([3, 4]), 8).tolist() == [3, 4]


def test_exact_match():
    assert exact_match(["a b", " c ", "d"], ["a b", "c", "D"]) == pytest.approx(2 / 3)
    for outputs, references in ([], []), (["a"], ["a", "b"]), ("ab", "ab"):
        with pytest.raises(mg.ArgumentError, match="as many outputs as references"):
            exact_match(outputs, references)


def test_one_text_is_no_list(model):
    with pytest.raises(mg.ArgumentError, match="takes a list of texts"):
        translate(model, None, "abc")


def test_bleu_without_sacrebleu(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(mg.BackendError, match=r"minigpt\[bleu\]"):
        bleu(["a"], ["a"])


@pytest.mark.skipif(importlib.util.find_spec("sacrebleu") is None, reason="needs the extra [bleu]")
def test_bleu():
    assert bleu(["the cat sat on the mat"], ["the cat sat on the mat"]) == pytest.approx(100)
    # 5 of 6 words, 4 of 5 pairs, 3 of 4 triples, 2 of 3 quadruples; as long as the reference
    wanted = 100 * (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25
    assert bleu(["the cat sat on the hat"], ["the cat sat on the mat"]) == pytest.approx(wanted)
