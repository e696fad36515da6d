"""Exchanges joined to conversations: nothing is lost, nothing is cut, and the format is that of a real conversation."""

import numpy as np
import pytest

from minigpt.data import Conversation, add_dialogue_tokens, render
from minigpt.data.turns import join_turns
from minigpt.errors import ArgumentError, DataError
from minigpt.tokenizers import CharTokenizer

TOK = CharTokenizer("0123456789?")
add_dialogue_tokens(TOK)


def exchange(i, system=None):
    return Conversation.exchange(f"{i}?", str(i * i), system)


def test_as_a_conversation_of_several_turns_is_rendered():
    (joined,) = join_turns([render(exchange(i), TOK) for i in (7, 7)], TOK, 2, 100, _always(2))
    ids, mask = render(Conversation(exchange(7).messages * 2), TOK)
    np.testing.assert_array_equal(joined[0], ids)
    np.testing.assert_array_equal(joined[1], mask)


def _always(k):
    """A generator whose conversations all have k turns."""
    rng = np.random.default_rng(0)

    class Fixed(np.random.Generator):
        def integers(self, low, high=None, *args, **kwargs):
            return k

    return Fixed(rng.bit_generator)


@pytest.mark.parametrize(("most", "room"), [(1, 100), (3, 100), (3, 20), (5, 5)])
def test_every_record_once_and_within_the_room(most, room):
    records = [render(exchange(i), TOK) for i in range(60)]
    joined = join_turns(records, TOK, most, room, rng=1)
    texts = [TOK.decode(ids) for ids, _ in joined]
    turns = [text.count("<|user|>") for text in texts]
    longest = max(len(ids) for ids, _ in records)
    assert sorted("".join(texts).split("<|user|>")) == sorted(
        "".join(TOK.decode(ids) for ids, _ in records).split("<|user|>")
    )
    assert all(len(ids) <= max(room, longest) for ids, _ in joined)
    assert all(ids.shape == mask.shape for ids, mask in joined)
    assert sum(mask.sum() for _, mask in joined) == sum(mask.sum() for _, mask in records)
    if room == 100:
        assert set(turns) == set(range(1, most + 1))
    assert max(turns) <= most
    again = join_turns(records, TOK, most, room, rng=1)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(joined, again, strict=True))


def test_the_system_speaks_first_or_not_at_all():
    records = [render(exchange(i, "12" if i % 2 else None), TOK) for i in range(40)]
    texts = [TOK.decode(ids) for ids, _ in join_turns(records, TOK, 3, 200, rng=0)]
    assert max(text.count("<|user|>") for text in texts) > 1
    assert all("<|system|>" not in text[1:] for text in texts)


def test_refused():
    with pytest.raises((ArgumentError, DataError), match="most"):
        join_turns([render(exchange(1), TOK)], TOK, 0, 50)
    assert join_turns([], TOK, 2, 50) == []
