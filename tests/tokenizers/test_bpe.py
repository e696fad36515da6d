"""BPETokenizer: round trips, special tokens, half characters; golden answers of Hugging Face's tokenizers."""

import codecs
import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import minigpt
from minigpt.errors import TokenizerError
from minigpt.tokenizers import BPETokenizer, Tokenizer, bpe, load_tokenizer
from minigpt.tokenizers.bpe_split import byte_alphabet

GOLDEN = Path(minigpt.__file__).parents[1] / "tests" / "golden" / "bpe.json"
VALID = st.characters(exclude_categories=["Cs"])
TEXT = "the cat sat on the mat, the cat's hat\n\n  它说：你好，世界。 😀 x = 12\n" * 3
SPECIAL = ["<|endoftext|>", "<a", "<a>", "<|end of text|>"]


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tok():
    return BPETokenizer.train(TEXT, 300, SPECIAL)


# ---- beside Hugging Face


def test_training_is_theirs_merge_for_merge(golden, tmp_path):
    case = golden["trained"]
    tok = BPETokenizer.train(case["text"], case["vocab_size"])
    tok.save(tmp_path)
    assert json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))["model"]["merges"] == [
        " ".join(merge) for merge in case["merges"]
    ]


@pytest.fixture(scope="module", params=["trained", "added"])
def golden_case(request, golden, tmp_path_factory):
    """(our tokenizer, their answers): one we train, one of their files with added tokens amid the ids."""
    case = golden[request.param]
    if request.param == "trained":
        return BPETokenizer.train(case["text"], case["vocab_size"]), case
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "tokenizer.json").write_text(json.dumps(case["tokenizer.json"]), encoding="utf-8")
    return load_tokenizer(folder), case


def test_encode_is_theirs_id_for_id(golden_case):
    tok, case = golden_case
    assert len(case["encode"]) >= 250
    for text, ids in case["encode"]:
        assert tok.encode(text) == ids, text
        assert tok.decode(ids) == text
        assert tok.explain(text).ids == ids


def test_decode_is_theirs_also_where_ids_cut_characters(golden_case):
    tok, case = golden_case
    for ids, text, without_special in case["decode"]:
        assert tok.decode(ids) == text
        assert tok.decode(ids, skip_special_tokens=True) == without_special
    assert any("\ufffd" in text for _, text, _ in case["decode"])


def test_their_added_tokens_keep_ids_and_kind(golden, tmp_path):
    content = golden["added"]["tokenizer.json"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    tok, added = load_tokenizer(tmp_path), content["added_tokens"]
    assert tok.special_tokens == {entry["content"]: entry["id"] for entry in added if entry["special"]}
    assert tok.added_tokens == {entry["content"]: entry["id"] for entry in added if not entry["special"]}
    assert tok.special_tokens["<|endoftext|>"] == 100


# ---- round trips


@given(st.lists(st.text(VALID) | st.sampled_from([*SPECIAL, "你好", "👨‍👩‍👧", "e\u0301", "\x00", "\r\n", "\ufeff"])))
@example(["".join(map(chr, range(0x250)))])
@example(["\U0010ffff\ue000\ud7ff"])
def test_any_text_round_trips(tok, parts):
    text = "".join(parts)
    ids = tok.encode(text)
    assert tok.decode(ids) == text
    assert tok.decode(np.array(ids, np.uint16)) == text
    assert tok.decode_bytes(ids) == text.encode("utf-8")
    assert all(type(i) is int for i in ids)


@given(st.text("ab \n", max_size=30), st.integers(0, 3))
def test_encoding_does_not_depend_on_what_was_encoded_before(text, n_before):
    fresh, used = (BPETokenizer.train("ab ba abba\n" * 4, 270) for _ in range(2))
    used.encode(" ".join(["abab ba"] * n_before))
    assert used.encode(text) == fresh.encode(text)


def test_forgetting_pieces_changes_nothing(monkeypatch):
    text = " ".join(f"{n}{n}" for n in range(300))
    wanted = BPETokenizer.train(text, 300).encode(text)
    monkeypatch.setattr(bpe, "REMEMBERED", 7)
    tok = BPETokenizer.train(text, 300)
    assert tok.encode(text) == wanted
    assert len(tok._remembered) <= 7


def test_empty_text(tok):
    assert tok.encode("") == []
    assert tok.decode([]) == ""
    assert tok.decode_bytes([]) == b""


def test_copies_and_pickles_encode_the_same(tok):
    tok.encode(TEXT)
    for other in (copy.deepcopy(tok), pickle.loads(pickle.dumps(tok))):
        assert other.encode(TEXT + "<a>") == tok.encode(TEXT + "<a>")
        other.add_special_tokens(["<new>"])
    assert "<new>" not in tok.special_tokens


def test_is_a_tokenizer(tok):
    assert isinstance(tok, Tokenizer)
    assert repr(tok).startswith("BPETokenizer(vocab_size=300, special_tokens=['<|endoftext|>', ")


# ---- half characters


def test_ids_that_cut_a_character(tok):
    ids = tok.encode("é")
    assert len(ids) == 2
    assert tok.decode(ids[:1]) == "\ufffd"
    assert tok.decode_bytes(ids[:1]) == b"\xc3"


def test_bytes_of_a_stream_join_to_the_text(tok):
    text = "naïve 😀 你好 <a>"
    decoder = codecs.getincrementaldecoder("utf-8")()
    pieces = [decoder.decode(tok.decode_bytes([token_id])) for token_id in tok.encode(text)]
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces)


# ---- special tokens


def test_special_tokens_are_found_first(tok):
    a, b = tok.special_tokens["<a>"], tok.special_tokens["<a"]
    assert tok.encode("<a><a<a>") == [a, b, a]  # the longer one counts
    the, cat = tok.encode("the"), tok.encode(" cat")
    assert tok.encode("the<|end of text|> cat") == [*the, tok.special_tokens["<|end of text|>"], *cat]
    assert tok.decode(tok.encode("the<a> cat"), skip_special_tokens=True) == "the cat"


@given(st.text("ab<x> ", max_size=30))
def test_adding_special_tokens_keeps_other_ids(text):
    tok = BPETokenizer.train("ab ba abba <x <x b\n" * 4, 270)
    before, size, ids = list(tok._tokens), tok.vocab_size, tok.encode(text.replace("<x>", "<y>"))
    assert tok.add_special_tokens(["<x>", "<z>"]) == 2
    assert tok.special_tokens == {"<x>": size, "<z>": size + 1}
    assert tok._tokens[:size] == before
    assert tok.encode(text.replace("<x>", "<y>")) == ids
    assert tok.encode(text).count(size) == text.count("<x>")
    assert tok.decode(tok.encode(text)) == text


def test_ordinary_tokens_cannot_become_special(tok):
    for name in ("the", " the", "Ġthe", "t", "é"):  # "Ġthe" and "é": files write other bytes with these letters
        with pytest.raises(TokenizerError, match="already an ordinary piece"):
            tok.add_special_tokens(["<fine>", name])
    assert "<fine>" not in tok.special_tokens


def test_model_grows_with_the_tokenizer():
    tok = BPETokenizer.train(TEXT, 280)
    tok.add_special_tokens(["<|user|>", "<|user|>"])
    assert tok.vocab_size == 281


# ---- errors


def test_lone_surrogates_are_refused(tok):
    for call in (tok.encode, tok.explain):
        with pytest.raises(TokenizerError, match=r"lone surrogate, U\+D83D, at index 2 \(line 2, column 1\)"):
            call("a\n\ud83d")


@pytest.mark.parametrize("value", [b"ab", 5, None, ["a"]])
def test_encode_needs_a_str(tok, value):
    with pytest.raises(TokenizerError, match=f"needs a str, got {type(value).__name__}"):
        tok.encode(value)


@pytest.mark.parametrize(
    ("ids", "message"),
    [([0, 300], "id 300 at position 1"), ([-1], "id -1 at position 0"), ("ab", "got str"), ([1.0], "got float"),
     (7, "for one id pass"), ([[1]], "one row at a time")],
)  # fmt: skip
def test_ids_that_are_none(tok, ids, message):
    for call in (tok.decode, tok.decode_bytes):
        with pytest.raises(TokenizerError, match=message):
            call(ids)


# ---- the constructor

BYTES = {letter: i for i, letter in enumerate(byte_alphabet())}


def test_constructor_takes_what_files_hold():
    tok = BPETokenizer({**BYTES, "Ġa": 256}, [("Ġ", "a")], ["<e>"], [" ok"])
    assert tok.encode(" a<e> ok ") == [256, 257, 258, BYTES["Ġ"]]
    assert tok.decode([256, 257, 258], skip_special_tokens=True) == " a ok"
    assert tok.vocab_size == 259


def test_the_leftmost_pair_of_lowest_rank_and_the_pairs_it_makes():
    """One merge at a time: after the first (a, b) the pair (ab, a) has a lower rank than the second (a, b)."""
    tok = BPETokenizer({**BYTES, "aba": 256, "ab": 257}, [("ab", "a"), ("a", "b")])
    assert tok.encode("abab") == [256, BYTES["b"]]


def test_added_name_that_means_other_bytes():
    with pytest.raises(TokenizerError, match="choose another name"):
        BPETokenizer(BYTES, [], ["é"])  # the letter é is the byte E9, the text é is C3 A9
    with pytest.raises(TokenizerError, match="choose another name"):
        BPETokenizer({**BYTES, "Ġa": 256}, [("Ġ", "a")], added_tokens=["Ġa"])


@pytest.mark.parametrize(
    ("vocab", "merges", "message"),
    [
        ({**BYTES, "ab": 255}, [], "have the same id, 255"),
        ({**BYTES, "ab": 257}, [], "no token has the id 256"),
        ({**BYTES, "ab": -1}, [], "integer of at least 0, got -1"),
        ({**BYTES, "ab": True}, [], "got True"),
        ({**BYTES, "ab": "256"}, [], "got '256'"),
        ({"a": 0, "b": 1}, [], "254 of the 256 single bytes have no token"),
        (BYTES, [("a", "b")], r"merges\[0\]: the merge 'a' \+ 'b' needs 'ab'"),
        ({**BYTES, "ab": 256}, [("a", "b"), ("a", "b")], r"merges\[1\] repeats the merge 'a' \+ 'b' of merges\[0\]"),
    ],
)
def test_constructor_refuses(vocab, merges, message):
    with pytest.raises(TokenizerError, match=message):
        BPETokenizer(vocab, merges)
