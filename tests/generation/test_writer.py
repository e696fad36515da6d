"""Writer: whole characters only, nothing of a stop string, the same text however it is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt as mg
from minigpt.generation.writer import Writer, stop_strings

TEXTS = st.text(st.sampled_from("ab你λ🚀 \n\N{REPLACEMENT CHARACTER}"), max_size=12)
STOPS = st.lists(st.text(st.sampled_from("ab你🚀 "), min_size=1, max_size=4), max_size=3)


@pytest.fixture(scope="module", params=["BytePieces", "Pieces"])
def single_bytes(request, kinds):
    """One id per byte, with and without decode_bytes: ids cut every longer character."""
    return getattr(kinds, request.param)([bytes([b]) for b in range(256)])


def streamed(tok, ids, stops=()):
    """(pieces as they come, the writer)"""
    writer, pieces = Writer(tok, stops, live=True), []
    for token_id in ids:
        writer.push(token_id)
        pieces.append(writer.take())
        if writer.done:
            break
    writer.finish()
    pieces.append(writer.take())
    return pieces, writer


def by_definition(text, stops):
    """Cut where the first stop string is complete, reading character by character."""
    for end in range(len(text) + 1):
        starts = [end - len(s) for s in stops if text[:end].endswith(s)]
        if starts:
            return text[: min(starts)]
    return text


@given(TEXTS, STOPS)
def test_pieces_join_to_the_text_and_are_whole_characters(single_bytes, text, stops):
    ids = list(text.encode())
    pieces, writer = streamed(single_bytes, ids, stops)
    assert "".join(pieces) == writer.text == by_definition(text, stops)
    assert writer.reason == ("stop" if writer.text != text else "length")
    at_once = Writer(single_bytes, stops)
    for token_id in ids[: len(writer.ids)]:
        at_once.push(token_id)
    assert at_once.finish() == writer.text


@given(st.lists(st.integers(0, 255), max_size=12))
def test_any_bytes_give_the_text_of_the_whole(single_bytes, ids):
    """Also invalid UTF-8, of which every piece is final once it was given."""
    pieces, writer = streamed(single_bytes, ids)
    assert "".join(pieces) == writer.text == bytes(ids).decode("utf-8", "replace")


@given(TEXTS.filter(lambda t: "\N{REPLACEMENT CHARACTER}" not in t))
def test_a_character_comes_with_its_last_byte(single_bytes, text):
    writer, given_out = Writer(single_bytes, live=True), ""
    for character in text:
        for byte in character.encode():
            assert writer.text == given_out
            writer.push(byte)
        given_out += character
        assert writer.take() == character
    assert writer.finish() == text


def test_half_a_character_at_the_end(single_bytes):
    pieces, writer = streamed(single_bytes, "a你".encode()[:-1])
    assert pieces == ["a", "", "", "\N{REPLACEMENT CHARACTER}"]
    assert writer.text == "a\N{REPLACEMENT CHARACTER}"


def test_what_may_become_a_stop_string_is_held_back(single_bytes):
    pieces, writer = streamed(single_bytes, b"xababac", ["abac"])
    assert pieces == ["x", "", "", "", "ab", "", "", ""]
    assert writer.text == "xab"
    pieces, _ = streamed(single_bytes, b"xaba", ["abac"])
    assert pieces == ["x", "", "", "", "aba"]  # it did not


def test_of_two_stop_strings_the_one_that_is_complete_first(single_bytes):
    _, writer = streamed(single_bytes, b"abcdef", ["bcde", "cd"])
    assert writer.text == "ab"
    assert writer.ids == list(b"abcd")


def test_a_token_may_hold_more_than_the_stop_string(kinds):
    for kind in (kinds.Pieces, kinds.BytePieces):
        tok = kind([b"one\ntwo", b"x", b"\nthree"])
        assert streamed(tok, [1, 0, 2], ["\n"])[1].text == "xone"
        assert streamed(tok, [1, 0, 2], ["two\nth"])[1].text == "xone\n"


def test_words_keep_their_spaces_also_the_first_one(kinds):
    tok = kinds.Words([b"the", b"cat", b"sat"])
    writer = Writer(tok, prompt=[0, 1], live=True)
    writer.push(2)
    assert writer.take() == " sat"
    writer.push(0)
    assert writer.finish() == " sat the"
    alone = Writer(tok)
    alone.push(2)
    assert alone.finish() == "sat"


def test_a_tokenizer_that_takes_back_what_it_said(kinds):
    class Turning(kinds.Pieces):
        def decode(self, ids, skip_special_tokens=False):
            return super().decode(list(ids)[::-1])

    writer = Writer(Turning([b"a", b"b"]), live=True)
    writer.push(0)
    assert writer.take() == "a"
    with pytest.raises(mg.TokenizerError, match="'a', then 'ba'; such a text cannot be streamed"):
        writer.push(1)


@pytest.mark.parametrize("stop", ["", ["a", ""], [1], 5, b"a", {"a"}, [None]], ids=repr)
def test_wrong_stops(stop):
    with pytest.raises(mg.ArgumentError, match="stop is a non-empty string or a list of them"):
        stop_strings(stop)


def test_stops():
    assert stop_strings(None) == []
    assert stop_strings("a\n") == ["a\n"]
    assert stop_strings(("a", "b")) == ["a", "b"]
