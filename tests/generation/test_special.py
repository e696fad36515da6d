"""Which token ends a text, which begins an empty one, and how one token is shown."""

import pytest

import minigpt as mg
from minigpt.generation.special import end_token, start_ids, token_text


@pytest.mark.parametrize(
    ("special", "end", "start"),
    [
        (["<|endoftext|>"], 2, 2),
        (["<eot>"], 2, 2),
        (["<pad>", "<unk>", "<start>", "<end>"], 5, 4),
        (["<end>", "<eot>", "<|endoftext|>"], 4, 4),
        (["<pad>"], None, None),
        (["<start>"], None, 2),
        ([], None, None),
    ],
    ids=str,
)
def test_end_and_start(kinds, special, end, start):
    tok = kinds.Pieces([b"a", b"b"], special)
    assert end_token(tok) == end
    if start is None:
        with pytest.raises(mg.TokenizerError, match="prompt is empty and this tokenizer has no token to start from"):
            start_ids(tok)
    else:
        assert start_ids(tok) == [start]


def test_a_text_that_spells_the_name_is_no_special_token(kinds):
    assert end_token(kinds.Pieces([b"<eot>"])) is None


def test_token_text(kinds):
    tok = kinds.BytePieces([b" cat", "你".encode()[:2], b"\x80"], ["<eot>"])
    assert [token_text(tok, i) for i in range(4)] == [" cat", "bytes:\\xe4\\xbd", "bytes:\\x80", "<eot>"]
    assert token_text(kinds.Pieces(["你".encode()[:2]]), 0) == "\N{REPLACEMENT CHARACTER}"
