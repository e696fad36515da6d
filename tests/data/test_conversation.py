"""Conversations: what may follow what, and errors that name the message."""

import re

import pytest

from minigpt.data import Conversation, Message
from minigpt.errors import DataError

S, U, A = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hi."},
)


@pytest.mark.parametrize("messages", [[U], [U, A], [S, U], [S, U, A, U, A], [S]], ids=len)
def test_orders_that_make_sense(messages):
    conversation = Conversation.of(messages)
    assert [m.role for m in conversation.messages] == [m["role"] for m in messages]
    assert Conversation.of(conversation) is conversation
    assert Conversation.of(conversation.messages) == conversation


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([], "at least one message, got none"),
        ([A], "messages[0].role: the assistant answers a user"),
        ([S, A], "messages[1].role: the assistant answers a user"),
        ([U, A, A], "messages[2].role: two assistant turns in a row"),
        ([U, U], "messages[1].role: two user turns in a row"),
        ([S, U, A, U, U], "messages[4].role: two user turns in a row"),
        ([U, S], "messages[1].role: the system speaks only at the start"),
        ([S, S, U], "messages[1].role: the system speaks only at the start"),
        ([U, {"role": "bot", "content": "x"}], "messages[1].role: wanted one of system, user, assistant, got 'bot'"),
        ([{"role": "user"}], "messages[0].content: missing; the message has 'role'"),
        ([{}], "messages[0].role: missing; the message has nothing"),
        ([{"role": "user", "content": " \n"}], "messages[0].content: the text of the user is empty"),
        ([{"role": "user", "content": None}], "messages[0].content: wanted text, got NoneType None"),
        ([{"role": ["user"], "content": "x"}], "messages[0].role: wanted one of system, user, assistant, got ['user']"),
        (["hello"], 'messages[0]: wanted {"role": …, "content": …}, got str'),
        ("hello", "messages: wanted a list of"),
        ({"role": "user", "content": "x"}, "messages: wanted a list of"),
        (5, "messages: wanted a list of"),
    ],
)
def test_errors_name_the_message(messages, error):
    with pytest.raises(DataError, match=re.escape(error)):
        Conversation.of(messages)


def test_reply_and_what_it_follows_from():
    conversation = Conversation.of(
        [S, U, A, {"role": "user", "content": "Bye."}, {"role": "assistant", "content": "!"}]
    )
    assert conversation.reply == "!"
    assert conversation.without_reply().messages == conversation.messages[:-1]
    assert conversation.without_reply().without_reply() == conversation.without_reply()
    assert conversation.key == "Be brief.\nHello.\nHi.\nBye."
    assert Conversation.exchange("Hello.", "Another answer").key == Conversation.exchange("Hello.", "Hi.").key
    with pytest.raises(DataError, match="ends with the user"):
        _ = conversation.without_reply().reply


def test_exchange():
    assert Conversation.exchange("Hello.", "Hi.", system="Be brief.") == Conversation.of([S, U, A])
    assert Conversation.exchange("Hello.", "Hi.").messages == (Message("user", "Hello."), Message("assistant", "Hi."))
    with pytest.raises(DataError, match="assistant is empty"):
        Conversation.exchange("Hello.", "")
