"""Records from TSV and JSONL: what is read, streamed, and refused with line and column."""

import csv
import io
import itertools
import json
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.data import Conversation, Labelled, read_jsonl, read_records, read_tsv, write_jsonl
from minigpt.errors import CheckpointError, DataError


@pytest.fixture
def write(tmp_path):
    """A function (name, content) -> path."""

    def make(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return make


def refused(path, *parts):
    with pytest.raises(DataError) as caught:
        list(read_records(path))
    for part in (path.name, *parts):
        assert part in str(caught.value), str(caught.value)


# ---- TSV


def test_tsv_of_labelled_texts(write):
    path = write("a.tsv", "id\tlabel\ttext\n1\tgood\tA fine day.\n\n2\tbad\t  spaces stay \n")
    assert list(read_records(path)) == [Labelled("A fine day.", "good"), Labelled("  spaces stay ", "bad")]


def test_tsv_of_prompts_and_replies(write):
    path = write("a.TSV", "prompt\treply\nHello.\tHi.\n")
    assert list(read_records(path)) == [Conversation.exchange("Hello.", "Hi.")]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "BOM"])
@pytest.mark.parametrize("end", ["", "end"])
def test_line_ends_and_byte_order_mark(write, newline, mark, end):
    text = newline.join(["text\tlabel", "Grüße 你好\ta", "two\tb", *([""] if end else [])])
    path = write("a.tsv", mark + text.encode("utf-8"))
    assert list(read_tsv(path)) == [Labelled("Grüße 你好", "a"), Labelled("two", "b")]
    rows = newline.join(json.dumps({"text": t, "label": "x"}, ensure_ascii=False) for t in ("é", "two"))
    path = write("a.jsonl", mark + (rows + (newline if end else "")).encode("utf-8"))
    assert [record.text for record in read_jsonl(path)] == ["é", "two"]


def test_quotes_as_spreadsheets_write_them(write):
    path = write(
        "a.tsv",
        'text\tlabel\n"a\ttab"\t1\n"two\r\nlines"\t2\n"She said ""no"""\t3\n5" screen, "new"\t4\n',
    )
    texts = ["a\ttab", "two\nlines", 'She said "no"', '5" screen, "new"']
    assert [record.text for record in read_tsv(path)] == texts


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_what_a_spreadsheet_writes_is_read_back(tmp_path_factory, rows):
    out = io.StringIO()
    csv.writer(out, delimiter="\t", lineterminator="\r\n").writerows([("text", "label"), *rows])
    path = tmp_path_factory.mktemp("tsv") / "a.tsv"
    path.write_bytes(out.getvalue().encode("utf-8"))
    assert list(read_tsv(path)) == [Labelled(*row) for row in rows]


def test_line_numbers_count_lines_of_the_file(write):
    """A quoted field over three lines and a blank line stand before the bad record, which begins in line 7."""
    path = write("a.tsv", 'text\tlabel\n"1\n2\n3"\ta\n\nok\tb\n"bad\nrecord"\n')
    refused(path, "line 7:", "wanted 2 fields (text, label), got 1", "column 'label' is missing")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["is empty", "names the columns"]),
        ("\n\n", ["is empty"]),
        ("text\tlabel\n", ["holds no record", "text, label"]),
        ("text\nx\n", ["line 1", "column 'label' is missing", "'text'"]),
        ("reply\tanswer\n", ["line 1", "column 'prompt' is missing", "'reply', 'answer'"]),
        ("sentence\tclass\nx\ty\n", ["line 1", "no columns text and label, or prompt and reply", "'sentence'"]),
        ("text\tlabel\ttext\n", ["line 1", "column 'text' is there more than once"]),
        ("text\tlabel\tprompt\treply\n", ["line 1", "two kinds"]),
        ("text\tlabel\na\tb\nc\n", ["line 3", "wanted 2 fields", "got 1", "column 'label' is missing"]),
        ("text\tlabel\na\tb\tc\n", ["line 2", "got 3", "a field that holds a tab needs double quotes"]),
        ("text\tlabel\n \tb\n", ["line 2", "column 'text'", "empty"]),
        ("text\tlabel\na\t\n", ["line 2", "column 'label'", "empty"]),
        ("text\tlabel\n\t\n", ["line 2", "column 'text'", "empty"]),
        ("prompt\treply\na\tb\nc\t \n", ["line 3", "column 'reply'", "empty"]),
        ('text\tlabel\na\tb\n"never closed\tc\nd\te\n', ["line 3", "double quote that never ends"]),
        ('text\tlabel\n"a"b\tc\n', ["line 2", "goes on after its closing double quote"]),
        ('text\tlabel\n"' + "x\n" * 100_000, ["line 2", "131,072 characters", "never ends"]),
    ],
)
def test_bad_tsv(write, content, parts):
    refused(write("a.tsv", content), *parts)


# ---- JSON lines


def test_jsonl(write):
    messages = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi.\n你好"}]
    rows = [
        {"messages": messages, "source": "me"},
        {"prompt": "a", "reply": "b"},
        {"text": "c", "label": "d"},
        {"text": "e", "label": 1},
    ]
    path = write("a.jsonl", "\n\n".join(map(json.dumps, rows)))
    assert list(read_records(path)) == [
        Conversation.of(messages), Conversation.exchange("a", "b"), Labelled("c", "d"), Labelled("e", "1"),
    ]  # fmt: skip


GOOD = '{"text": "a", "label": "b"}\n'


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("{'text': 1}", ["line 3, column 2", "no valid JSON"]),
        ('{"text": "a" "label": "b"}', ["line 3, column 14", "no valid JSON"]),
        ('{"text": "a", "label": "b"}}', ["line 3, column 28", "no valid JSON"]),
        ("[" * 100_000, ["line 3", "no valid JSON"]),
        ('["a", "b"]', ["line 3", "wanted an object", "got list"]),
        ('{"text": "a"}', ["line 3", "column 'label' is missing", "got 'text'"]),
        ("{}", ["line 3", "no columns", "got none"]),
        ('{"text": "a", "label": null}', ["line 3", "column 'label'", "got NoneType"]),
        ('{"text": "a", "label": true}', ["line 3", "column 'label'", "got bool"]),
        ('{"text": 5, "label": "b"}', ["line 3", "column 'text'", "wanted text, got int"]),
        ('{"prompt": "a", "reply": " "}', ["line 3", "column 'reply'", "empty"]),
        ('{"messages": []}', ["line 3", "messages", "at least one"]),
        ('{"messages": "a"}', ["line 3", "messages: wanted a list"]),
        ('{"messages": [{"role": "robot", "content": "a"}]}', ["line 3", "messages[0].role", "'robot'"]),
        ('{"messages": [{"role": "user", "content": ""}]}', ["line 3", "messages[0].content", "empty"]),
        ('{"messages": [{"role": "user", "content": "a"}]}', ["line 3", "the last one needs to be the assistant's"]),
        (
            '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, '
            '{"role": "assistant", "content": "c"}]}',
            ["line 3", "messages[2].role", "two assistant turns in a row"],
        ),
    ],
)
def test_bad_jsonl(write, line, parts):
    refused(write("a.jsonl", f"{GOOD}\n{line}\n{GOOD}"), *parts)


def test_empty_jsonl(write):
    refused(write("a.jsonl", " \n\n"), "holds no record")


# ---- both


@pytest.mark.parametrize("suffix", ["tsv", "jsonl"])
def test_bad_bytes_are_found_where_they_are(write, suffix):
    good = {"tsv": "text\tlabel\nä\tb\n", "jsonl": GOOD + GOOD}[suffix].encode()
    refused(write(f"a.{suffix}", good + b"caf\xe9\tc\n"), f"byte 0xE9 at byte {len(good) + 3} (line 3)", "Latin-1")
    refused(write(f"a.{suffix}", good + b"x\x00\n"), f"binary file, not text: NUL byte at byte {len(good) + 1}")
    refused(write(f"a.{suffix}", "text\tlabel".encode("utf-16")), "UTF-16")


def test_no_such_file_or_format(tmp_path):
    for name in ("a.tsv", "a.jsonl"):
        refused(tmp_path / name, "no file")
    (tmp_path / "b.tsv").mkdir()
    refused(tmp_path / "b.tsv", "is a folder")
    refused(tmp_path / "a.csv", ".tsv and .jsonl", "'.csv'")


@pytest.mark.parametrize("suffix", ["tsv", "jsonl"])
def test_records_are_streamed(write, suffix):
    """The first record is there before a mistake far below is met, and 8 MB pass through a few hundred kB."""
    row = {"tsv": f"{'x' * 2000}\ta\n", "jsonl": json.dumps({"text": "x" * 2000, "label": "a"}) + "\n"}[suffix]
    head = "text\tlabel\n" if suffix == "tsv" else ""
    path = write(f"a.{suffix}", head + row * 4_000 + "broken\n")
    tracemalloc.start()
    records = read_records(path)
    count = sum(1 for _ in itertools.islice(records, 4_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 4_000
    assert peak < 1_000_000
    with pytest.raises(DataError, match=re.escape(f"line {4_001 + (suffix == 'tsv')}")):
        next(records)


# ---- writing


CONTENT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(CONTENT, CONTENT, st.none() | CONTENT), min_size=1, max_size=3))
def test_what_is_written_is_read_back(tmp_path_factory, exchanges):
    path = tmp_path_factory.mktemp("written") / "new" / "talks.jsonl"
    conversations = [Conversation.exchange(*exchange) for exchange in exchanges]
    write_jsonl(path, conversations)
    assert list(read_jsonl(path)) == conversations
    assert path.read_bytes().count(b"\n") == len(conversations)


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path):
    path = tmp_path / "talks.jsonl"
    write_jsonl(path, [Conversation.exchange("a", "b")])
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="cannot make the folder"):
        write_jsonl(path / "below.jsonl", [Conversation.exchange("c", "d")])
    with pytest.raises(DataError, match="holds '\\\\ud800', half a character"):
        write_jsonl(path, [Conversation.exchange("a", "\ud800")])
    assert path.read_bytes() == before
