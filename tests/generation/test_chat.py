"""Chat: what is read, what is said, what is kept; with a model that answers from a table, and with a real one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_chat import ANSWERS, ScriptedChat, byte_tokenizer

import minigpt as mg
from minigpt.data import Conversation, Message, end_id, render_prompt
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import CharTokenizer


def messages(chat):
    return [(m.role, m.content) for m in chat.conversation.messages]


def test_by_hand():
    model = ScriptedChat(ANSWERS)
    chat = mg.Chat(model, system="Be kind.")
    assert chat.say("hi") == "hello"
    assert chat.say("hm") == "what?"
    assert chat.finish_reason == "stop"
    assert messages(chat) == [
        ("system", "Be kind."), ("user", "hi"), ("assistant", "hello"), ("user", "hm"), ("assistant", "what?"),
    ]  # fmt: skip
    first = "<|system|>Be kind.<|end|><|user|>hi<|end|><|assistant|>"
    assert model.seen == [first, first + "hello<|end|><|user|>hm<|end|><|assistant|>"]


def test_the_prompt_is_what_training_renders():
    model = ScriptedChat(ANSWERS)
    chat = mg.Chat(model, system="Be kind.")
    for text in ("hi", "hm", "greek", "a", "b"):
        chat.say(text)
        before = Conversation(chat.conversation.messages[:-1])
        assert model.seen[-1] == model.tokenizer.decode(render_prompt(before, model.tokenizer))
    np.testing.assert_array_equal(model.fed[6], render_prompt(before.messages[:4], model.tokenizer))


def test_the_last_turns_are_read_in_their_order():
    model = ScriptedChat(ANSWERS, block_size=48)
    chat = mg.Chat(model, max_new_tokens=6)
    for text in "abcd":
        chat.say(text)
    with pytest.warns(UserWarning, match="now 1 of 4"):
        chat.say("e")
    answered = "".join(f"<|user|>{text}<|end|><|assistant|>what?<|end|>" for text in "bcd")
    assert model.seen[-1] == answered + "<|user|>e<|end|><|assistant|>"


def test_pieces_are_whole_characters_and_come_while_the_rest_is_not_computed():
    model = ScriptedChat(ANSWERS)
    stream = mg.Chat(model).stream("greek")
    assert model.fed == []
    pieces = []
    for piece in stream:
        pieces.append(piece)
        assert len(model.fed) == len(pieces)
        assert not model.quiet
    assert "".join(pieces) == "λόγος 🚀"
    assert [len(piece) for piece in pieces] == [0, 1] * 5 + [1, 0, 0, 0, 1]


def test_an_answer_cut_in_the_middle_of_a_character_loses_the_half():
    chat = mg.Chat(ScriptedChat(ANSWERS), max_new_tokens=13)  # five Greek letters of two bytes, a space, half a rocket
    assert chat.say("greek") == "λόγος "
    assert chat.finish_reason == "length"
    assert messages(chat)[-1] == ("assistant", "λόγος ")


@pytest.mark.parametrize("token", ["<|user|>", "<|system|>", "<|assistant|>", "<|end|>"])
def test_whoever_else_speaks_ends_the_answer(token):
    """A half-trained model goes on with a turn of the user instead of ending its own."""
    ids = byte_tokenizer().encode(f"yes{token}more")
    chat = mg.Chat(ScriptedChat({"hi": ids}))
    assert chat.say("hi") == "yes"
    assert chat.finish_reason == "stop"
    assert chat.say("hm") == "what?"


@given(st.lists(st.sampled_from(["<|end|>", "<|assistant|>", "<|user|>", "<|system|>", "a", " ", "\n"]), min_size=1))
def test_no_text_injects_special_tokens(parts):
    """Typed by the user, said by the system, loaded from a file, or written by the model in ordinary letters."""
    text = "x" + "".join(parts)
    model = ScriptedChat(lambda _: byte_tokenizer().encode(text, allow_special=False))
    chat = mg.Chat(model, system=text)
    chat.conversation = Conversation.exchange(text, text, system=text)
    assert chat.say(text) == text
    special = set(model.tokenizer.special_tokens.values())
    assert [i for i in model.fed[0] if i in special] == [
        model.tokenizer.special_tokens[f"<|{name}|>"]
        for name in "system end user end assistant end user end assistant".split()
    ]


def test_a_turn_without_an_answer_is_not_kept():
    chat = mg.Chat(ScriptedChat({"nothing": "", "blank": " \n"}), system="s")
    assert chat.say("nothing") == ""
    assert chat.say("blank") == " \n"
    assert messages(chat) == [("system", "s")]
    chat.say("hm")
    assert messages(chat)[1:] == [("user", "hm"), ("assistant", "what?")]


def test_a_stream_closed_early_keeps_what_was_said():
    chat = mg.Chat(ScriptedChat(ANSWERS))
    stream = chat.stream("hi")
    assert [next(stream), next(stream)] == ["h", "e"]
    assert chat.conversation is None
    stream.close()
    assert messages(chat) == [("user", "hi"), ("assistant", "he")]
    assert chat.finish_reason == "interrupted"
    chat.stream("never begun").close()
    assert len(messages(chat)) == 2


@pytest.mark.parametrize("keep_cache", [False, True])
def test_ctrl_c_inside_the_model(keep_cache):
    def answer(text):
        if text.endswith("<|user|>hi<|end|><|assistant|>") and len(model.fed) == 3:
            raise KeyboardInterrupt
        return "hello"

    model = ScriptedChat(answer)
    chat = mg.Chat(model, keep_cache=keep_cache)
    with pytest.raises(KeyboardInterrupt):
        chat.say("hi")
    assert messages(chat) == [("user", "hi"), ("assistant", "he")]
    assert chat.say("hi") == "hello"
    assert model.seen[-1] == "<|user|>hi<|end|><|assistant|>he<|end|><|user|>hi<|end|><|assistant|>"


# ---- the context


def test_the_oldest_turns_are_dropped_whole_and_that_is_said_once():
    model = ScriptedChat(ANSWERS, block_size=64)
    chat = mg.Chat(model, system="sys")  # 5 tokens with its marks; a turn "hi" 4, "hello" 7; 16 kept for the answer
    turns, asked = "<|user|>hi<|end|><|assistant|>hello<|end|>", "<|user|>hi<|end|><|assistant|>"
    for n in range(4):
        assert chat.say("hi") == "hello"
        assert model.seen[-1] == "<|system|>sys<|end|>" + turns * min(n, 3) + asked
    with pytest.warns(UserWarning, match=r"context of 64 tokens is full.*\(now 1 of 4\)") as caught:
        chat.say("hi")
    assert caught[0].filename == __file__
    for _ in range(3):
        chat.say("hi")  # warnings are errors here: it is not said again
        assert model.seen[-1] == "<|system|>sys<|end|>" + turns * 3 + asked
    assert len(messages(chat)) == 1 + 2 * 8  # the conversation itself loses nothing
    chat.reset()
    for _ in range(4):
        chat.say("hi")
    with pytest.warns(UserWarning, match="context of 64"):
        chat.say("hi")


@given(st.integers(12, 60), st.lists(st.integers(1, 30), max_size=6), st.integers(1, 40), st.booleans())
@settings(max_examples=100)
@pytest.mark.filterwarnings("ignore:the context of")
def test_whatever_is_said_fits(block_size, lengths, max_new_tokens, keep_cache):
    """Answers repeat the question: no step reads more than the context, none is lost without need."""

    def echo(text):
        return text.rsplit("<|user|>", 1)[1].split("<|end|>")[0]

    model = ScriptedChat(echo, block_size)
    chat = mg.Chat(model, max_new_tokens=max_new_tokens, keep_cache=keep_cache)
    for length in lengths:
        if length + 3 < block_size:
            answer = chat.say("x" * length)
            room = block_size - len(model.tokenizer.encode(model.seen[-1]))
            assert answer == "x" * min(length, max_new_tokens, room)
            assert room >= min(max_new_tokens, block_size // 4) or model.seen[-1].count("<|user|>") == 1
        else:
            with pytest.raises(mg.ArgumentError, match=f"takes {length + 3} tokens, the context holds {block_size}"):
                chat.say("x" * length)


def test_too_long_is_refused_in_numbers():
    chat = mg.Chat(ScriptedChat(ANSWERS, block_size=32), system="abc")
    message = "takes 29 tokens and the system's message another 5, the context holds 32 .* leave out 3 tokens or more"
    with pytest.raises(mg.ArgumentError, match=message):
        chat.stream("x" * 26)
    assert messages(chat) == [("system", "abc")]
    assert chat.say("x" * 23) == "w"
    assert chat.finish_reason == "context"


def test_a_system_message_that_leaves_no_room():
    chat = mg.Chat(ScriptedChat(ANSWERS, block_size=16), system="x" * 9)
    assert chat.say("y") == "w"
    with pytest.raises(mg.ArgumentError, match=r"takes 12 tokens, the context holds 16, .* needs 5"):
        chat.system = "x" * 10
    assert chat.system == "x" * 9
    with pytest.raises(mg.ArgumentError, match="the system's message is too long"):
        mg.Chat(ScriptedChat(ANSWERS, block_size=16), system="x" * 10)


# ---- the cache


def test_only_what_is_new_is_read():
    model = ScriptedChat(ANSWERS)
    chat = mg.Chat(model, system="s", keep_cache=True)
    chat.say("hi")
    chat.say("hm")
    sizes = [len(ids) for ids in model.fed]
    assert sizes == [3 + 5, 1, 1, 1, 1, 1, 1 + 5, 1, 1, 1, 1, 1]  # <|end|> of "hello" was never read, the rest was
    chat.reset()
    chat.say("hm")
    assert len(model.fed[12]) == 3  # "h" is the same, then "m", <|end|>, <|assistant|>
    chat.reset()
    chat.say("hm")
    assert len(model.fed[18]) == 1  # the last token is read again, for its logits


def test_two_streams_at_once_do_not_share_a_cache():
    chat = mg.Chat(ScriptedChat(ANSWERS), keep_cache=True)
    chat.say("hi")
    one, two = chat.stream("hi"), chat.stream("hm")
    assert [next(one), next(two), next(one), next(two)] == ["h", "w", "e", "h"]
    assert "".join(one) == "llo"
    assert "".join(two) == "at?"


@pytest.fixture(scope="module")
def gpt():
    """Random, but sure of itself, so that rounding changes no choice."""
    tok = byte_tokenizer()
    model = GPT(GPTConfig(tok.vocab_size, 48, 2, 2, 16), seed=0)
    model.tokenizer = tok
    rng = np.random.default_rng(0)
    for p in model.parameters():
        p.data += 0.3 * rng.normal(size=p.shape).astype(np.float32)
    return model


SAID = st.lists(
    st.sampled_from(["a", "bb", "a longer message", "/reset", "/system x", "/system y", "/stop"]), max_size=8
)


@given(SAID, st.integers(0, 100))
@settings(max_examples=25)
@pytest.mark.filterwarnings("ignore:the context of")
def test_a_kept_cache_changes_no_answer(gpt, said, seed):
    """Through resets, other system messages, answers stopped early and turns dropped."""
    chats = [mg.Chat(gpt, keep_cache=keep, temperature=0.5, seed=seed, max_new_tokens=9) for keep in (True, False)]
    for text in said:
        answers = []
        for chat in chats:
            if text == "/reset":
                chat.reset()
            elif text.startswith("/system"):
                chat.system = text[8:]
            elif text == "/stop":
                stream = chat.stream("a")
                answers.append([next(stream, None), next(stream, None)])
                stream.close()
            else:
                answers.append(chat.say(text))
        assert answers[1:] == answers[:1] * len(answers[1:])
    assert chats[0].conversation == chats[1].conversation


def test_an_answer_is_that_of_generate(gpt):
    chat = mg.Chat(gpt, temperature=0, max_new_tokens=12)
    ids = render_prompt([{"role": "user", "content": "abc"}], gpt.tokenizer)
    out = gpt.generate(ids[None], 12, temperature=0, eos_id=end_id(gpt.tokenizer))[0, len(ids) :].tolist()
    special = set(gpt.tokenizer.special_tokens.values())
    until = next((k for k, i in enumerate(out) if i in special), 12)
    answer = chat.say("abc")
    whole = gpt.tokenizer.decode_bytes(out[:until]).decode("utf-8", "replace")
    assert whole.startswith(answer)
    assert set(whole[len(answer) :]) <= {"\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize("training", [True, False])
def test_the_model_keeps_its_mode(gpt, training):
    gpt.train(training)
    stream = mg.Chat(gpt, seed=0).stream("a")
    next(stream)
    assert gpt.training is training
    stream.close()
    assert gpt.training is training


def test_seeds(gpt):
    def talk(seed):
        chat = mg.Chat(gpt, temperature=1.5, seed=seed, max_new_tokens=10)
        return [chat.say("a"), chat.say("b")]

    assert talk(1) == talk(1) == talk(np.random.default_rng(1))
    assert len({str(talk(seed)) for seed in range(5)}) == 5


# ---- going on from elsewhere, settings, the look in a notebook


def test_setting_the_conversation():
    model = ScriptedChat(ANSWERS)
    chat = mg.Chat(model, system="old")
    chat.say("hm")
    chat.conversation = [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "1"}]
    assert chat.system is None
    chat.say("hi")
    assert model.seen[-1] == "<|user|>1?<|end|><|assistant|>1<|end|><|user|>hi<|end|><|assistant|>"
    chat.conversation = (Message("system", "new"),)
    assert (chat.system, messages(chat)) == ("new", [("system", "new")])


@pytest.mark.parametrize(
    ("new", "kind", "message"),
    [
        ([{"role": "user", "content": "1?"}], mg.ArgumentError, "ends with the user"),
        ([{"role": "assistant", "content": "1?"}], mg.DataError, "answers a user"),
        ("text", mg.DataError, "wanted a list"),
        ([{"role": "system", "content": "x" * 60}], mg.ArgumentError, "system's message is too long"),
        (Conversation.exchange("\ud800", "a"), mg.TokenizerError, "lone surrogate"),
    ],
    ids=str,
)
def test_a_wrong_conversation_changes_nothing(new, kind, message):
    chat = mg.Chat(ScriptedChat(ANSWERS, block_size=64), system="s")
    chat.say("hi")
    before = chat.conversation
    with pytest.raises(kind, match=message):
        chat.conversation = new
    assert chat.conversation == before


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"temperature": -1}, mg.ArgumentError),
        ({"top_k": 0}, mg.ArgumentError),
        ({"top_p": 2}, mg.ArgumentError),
        ({"max_new_tokens": 0}, mg.ArgumentError),
        ({"seed": -1}, mg.ArgumentError),
        ({"system": " "}, mg.DataError),
        ({"tok": byte_tokenizer(dialogue=False)}, mg.TokenizerError),
        ({"tok": CharTokenizer("".join(map(chr, range(32, 400))))}, mg.ArgumentError),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_settings(wrong, kind):
    with pytest.raises(kind):
        mg.Chat(ScriptedChat(ANSWERS), **wrong)


def test_settings_between_turns():
    chat = mg.Chat(ScriptedChat(ANSWERS))
    chat.temperature = -1
    with pytest.raises(mg.ArgumentError, match="temperature is a number from 0"):
        chat.stream("hi")
    chat.temperature, chat.max_new_tokens = 0, 2
    assert chat.say("hi") == "he"
    for blank in ("", " \n"):
        with pytest.raises(mg.DataError, match="the text of the user is empty"):
            chat.stream(blank)


def test_in_a_notebook():
    chat = mg.Chat(ScriptedChat({"<b>": "<script>alert(1)</script> & co"}))
    assert chat._repr_html_() == "<p>nothing was said yet</p>"
    chat.say("<b>")
    shown = chat._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in shown
    assert shown.count("<tr>") == 2
    assert repr(chat) == "Chat(ScriptedChat, 1 turns)"
