"""The merges of a text as data and as a table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.tokenizers import BPETokenizer
from minigpt.tokenizers.bpe_explain import visible

TEXT = "low lower lowest newest\n" * 3 + "你 你 é é\n"


@pytest.fixture(scope="module")
def tok():
    return BPETokenizer.train(TEXT, 280, ["<e>"])


def test_table(tok):
    """Each token stands below its first byte, so that the rows become stairs."""
    assert str(tok.explain("lowest<e> é\n")) == "\n".join(
        [
            "bytes: 13, pieces: 4, tokens: 5",
            "",
            "'lowest'",
            "  l o w e s t",
            "  lo  w e s t  l + o   rank 0",
            "  lo  we  s t  w + e   rank 1",
            "  lo  we  st   s + t   rank 2",
            "  lo  west     we + st   rank 4",
            "  ids: 256 260",
            "",
            "'<e>', a token of its own",
            "  id: 273",
            "",
            "' é'",
            "  ␣ <C3> <A9>",
            "  ␣ é          <C3> + <A9>   rank 13",
            "  ␣é           ␣ + é   rank 15",
            "  ids: 271",
            "",
            "'\\n'",
            "  \\n",
            "  ids: 198",
        ]
    )


def test_wide_characters_take_two_columns(tok):
    lines = str(tok.explain("你x")).split("\n")[3:]
    assert lines == [
        "  <E4> <BD> <A0> x",
        "  <E4> <BD><A0>  x  <BD> + <A0>   rank 12",
        "  你             x  <E4> + <BD><A0>   rank 14",  # 你 is drawn as wide as two letters
        "  ids: 270 87",
    ]


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["", "lower<e>", "<e><e>", "low é 你\x00"]))
def test_steps_lead_from_the_bytes_to_the_ids(tok, text):
    explained = tok.explain(text)
    assert explained.ids == tok.encode(text)
    assert "".join(piece.text for piece in explained.pieces) == text
    ranks = {pair: rank for rank, pair in enumerate(tok.merges)}
    for piece in explained.pieces:
        data = piece.text.encode()
        assert b"".join(piece.start) == data
        assert piece.whole or piece.start == tuple(bytes([byte]) for byte in data)
        before = piece.start
        for step in piece.steps:
            assert ranks[step.left, step.right] == step.rank
            assert b"".join(step.tokens) == data
            assert len(step.tokens) == len(before) - 1
            before = step.tokens
        assert piece.tokens == tuple(tok.decode_bytes([token_id]) for token_id in piece.ids)
    assert str(explained) == repr(explained)


@pytest.mark.parametrize(
    ("token", "shown"),
    [(b" a", "␣a"), (b"\n\t\x00\x7f", "\\n\\t\\x00\\x7f"), ("é你".encode(), "é你"), (b"\xe4\xbd", "<E4><BD>"),
     (b"a\xff b", "a<FF>␣b"), ("\xa0\u2028".encode(), "\\xa0\\u2028"), ("😀".encode()[:3], "<F0><9F><98>")],
)  # fmt: skip
def test_bytes_for_people(token, shown):
    assert visible(token) == shown
