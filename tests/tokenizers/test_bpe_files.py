"""The files of byte-level BPE: written and read again, and what reading says about damage."""

import json
import os

import pytest

from minigpt.errors import CheckpointError, TokenizerError
from minigpt.files import FileGroup
from minigpt.models import GPT, GPTConfig
from minigpt.tokenizers import BPETokenizer, CharTokenizer, bpe_files, find_tokenizer, load_tokenizer

TEXT = "the cat sat on the mat, the cat's hat\n你好 😀\n" * 4
SPECIAL = ["<|endoftext|>", "<|end of text|>"]


@pytest.fixture
def tok():
    return BPETokenizer.train(TEXT, 280, SPECIAL)


@pytest.fixture
def folder(tok, tmp_path):
    tok.save(tmp_path)
    return tmp_path


def same(a, b):
    return (a._tokens, a.merges, a.special_tokens, a.added_tokens, a.encode(TEXT + SPECIAL[1])) == (
        b._tokens, b.merges, b.special_tokens, b.added_tokens, b.encode(TEXT + SPECIAL[1]),
    )  # fmt: skip


def rewrite(path, change):
    """Apply change(content) to a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed), encoding="utf-8")


# ---- round trips


def test_save_and_load(tok, folder):
    assert sorted(os.listdir(folder)) == ["merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json"]
    loaded = load_tokenizer(folder)
    assert type(loaded) is BPETokenizer
    assert same(loaded, tok)
    assert same(find_tokenizer(folder), tok)


def test_the_two_gpt2_files_hold_everything(tok, folder):
    assert same(BPETokenizer.from_files(folder / "vocab.json", str(folder / "merges.txt")), tok)
    (folder / "tokenizer.json").unlink()
    assert same(load_tokenizer(folder), tok)


def test_gpt2_files_as_published(tmp_path, tok, folder):
    """GPT-2's vocab.json is one long line; a merges.txt from Windows has other line ends."""
    rewrite(folder / "vocab.json", lambda vocab: dict(reversed(vocab.items())))
    merges = (folder / "merges.txt").read_text(encoding="utf-8")
    (folder / "merges.txt").write_bytes(merges.replace("\n", "\r\n").encode())
    assert same(BPETokenizer.from_files(folder / "vocab.json", folder / "merges.txt"), tok)
    (folder / "merges.txt").write_text(merges.removesuffix("\n"), encoding="utf-8")
    assert same(BPETokenizer.from_files(folder / "vocab.json", folder / "merges.txt"), tok)


def test_names_that_do_not_look_special_must_be_given(tmp_path):
    tok = BPETokenizer.train(TEXT, 280, ["[PAD]", "<eot>"])
    tok.save(tmp_path)
    paths = tmp_path / "vocab.json", tmp_path / "merges.txt"
    with pytest.raises(TokenizerError, match=r"pass special_tokens=\['\[PAD\]', …\]"):
        BPETokenizer.from_files(*paths)
    assert same(BPETokenizer.from_files(*paths, special_tokens=["[PAD]", "<eot>"]), tok)
    more = BPETokenizer.from_files(*paths, special_tokens=["[PAD]", "<eot>", "<new>"])
    assert more.special_tokens["<new>"] == 280


def test_added_tokens_are_kept(tmp_path, folder):
    def add(content):
        content["added_tokens"].append({"id": 280, "content": "ca t", "special": False})

    rewrite(folder / "tokenizer.json", add)
    tok = load_tokenizer(folder)
    assert tok.added_tokens == {"ca t": 280}
    assert tok.encode("ca t") == [280]
    assert tok.decode([280], skip_special_tokens=True) == "ca t"
    tok.save(tmp_path / "again")
    assert same(load_tokenizer(tmp_path / "again"), tok)


def test_merges_may_be_pairs_or_strings(tok, folder):
    """Newer versions of Hugging Face's tokenizers write ["Ġ", "t"], older ones "Ġ t"."""
    rewrite(folder / "tokenizer.json", lambda c: c["model"].update(merges=[m.split(" ") for m in c["model"]["merges"]]))
    assert same(load_tokenizer(folder), tok)


def test_entries_without_a_merge_have_a_text(folder):
    rewrite(folder / "tokenizer.json", lambda c: c["model"]["vocab"].update({"Ġnever": 280, "é好": 281}))
    tok = load_tokenizer(folder)
    assert tok.decode([280, 281]) == " neveré好"
    assert 280 not in tok.encode(" never")


def test_files_for_transformers(folder, tmp_path):
    def settings(path):
        return json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))

    assert settings(folder)["eos_token"] == "<|endoftext|>"
    BPETokenizer.train(TEXT, 280, ["<eot>"]).save(tmp_path / "without")
    assert settings(tmp_path / "without")["eos_token"] is None  # else Transformers would add <|endoftext|>
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert content["pre_tokenizer"]["add_prefix_space"] is False
    assert content["added_tokens"][0] == {
        "id": 278, "content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": False, "special": True,
    }  # fmt: skip
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    assert lines[:2] == ["#version: 0.2", "a t"]
    assert len(lines) == 1 + 280 - 256 - 2 + 1


def test_a_failed_save_leaves_the_old_files(tok, folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_text = FileGroup.text

    def full_disk(self, name, content):
        if name == "merges.txt":
            raise CheckpointError("disk full")
        write_text(self, name, content)

    monkeypatch.setattr(FileGroup, "text", full_disk)
    tok.add_special_tokens(["<new>"])
    with pytest.raises(CheckpointError):
        tok.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# ---- which kind a folder holds


def test_two_kinds_in_one_folder(folder):
    CharTokenizer.train("ab").save(folder)
    with pytest.raises(TokenizerError, match=r"more than one tokenizer, char_tokenizer\.json and tokenizer\.json"):
        load_tokenizer(folder)


def test_half_of_a_pair(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "merges.txt").unlink()
    with pytest.raises(TokenizerError, match=r"no file of merges .*merges\.txt"):
        load_tokenizer(folder)
    (folder / "vocab.json").unlink()
    assert find_tokenizer(folder) is None  # tokenizer_config.json alone is no tokenizer


def test_missing_files(tmp_path):
    with pytest.raises(TokenizerError, match=r"no tokenizer file .*tokenizer\.json"):
        BPETokenizer.load(tmp_path)
    with pytest.raises(TokenizerError, match=r"no tokenizer file .*v\.json"):
        BPETokenizer.from_files(tmp_path / "v.json", tmp_path / "m.txt")


@pytest.mark.parametrize("kinds", [(BPETokenizer, CharTokenizer), (CharTokenizer, BPETokenizer), (BPETokenizer, None)])
def test_a_model_saved_over_another_leaves_no_file_of_its_tokenizer(tmp_path, kinds):
    model = GPT(GPTConfig(vocab_size=300, block_size=4, n_layer=1, n_head=1, n_embd=4), seed=0)
    for kind in kinds:
        model.tokenizer = kind and kind.train(TEXT)
        model.save_pretrained(tmp_path)
    left = {name for name in os.listdir(tmp_path) if name not in ("config.json", "model.safetensors")}
    assert left == set(kinds[1].file_names() if kinds[1] else ())
    assert type(find_tokenizer(tmp_path)) is (kinds[1] or type(None))


# ---- damage


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("at"), "no token has the id 256"),
        (lambda v: v.update(new=256), "'at' and 'new' have the same id, 256"),
        (lambda v: v.update(new=999), "no token has the id 280"),
        (lambda v: v.update(at="256"), "the id of 'at' must be an integer of at least 0, got '256'"),
        (lambda v: v.update(at=256.0), "got 256.0"),
        (lambda v: v.update(at=None), "got None"),
        (lambda v: v.update({"xx": v.pop("a")}), "1 of the 256 single bytes have no token, such as 'a'"),
        (lambda v: list(v), "wanted a JSON object, got a list"),
    ],
)
def test_damaged_vocab(folder, change, message):
    rewrite(folder / "vocab.json", lambda vocab: [] if change(vocab) == list(vocab) else None)
    with pytest.raises(TokenizerError) as info:
        BPETokenizer.from_files(folder / "vocab.json", folder / "merges.txt")
    assert str(folder / "vocab.json") in str(info.value)
    assert message in str(info.value)


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        (lambda ls: ls.insert(5, "q z"), ", line 6: ", "the merge 'q' + 'z' needs 'qz', which is not in the voc"),
        (lambda ls: ls.insert(5, "a tt"), ", line 6: ", "needs 'tt'"),
        (lambda ls: ls.insert(5, ls[1]), ", line 6 repeats ", "of " ),
        (lambda ls: ls.insert(5, "a"), ", line 6: ", "two tokens with one space between them, got 'a'"),
        (lambda ls: ls.insert(5, "a  t"), ", line 6: ", "got 'a  t'"),
        (lambda ls: ls.insert(5, "a t h"), ", line 6: ", "got 'a t h'"),
        (lambda ls: ls.insert(5, ""), ", line 6: ", "got ''"),
        (lambda ls: ls.pop(0), ", line 1: ", 'the header "#version: 0.2", got \'a t\''),
        (lambda ls: ls.clear(), ", line 1: ", "got ''"),
        (lambda ls: ls.__delitem__(slice(10, None)), " has no merge that makes", "the file of merges is cut short"),
    ],
)  # fmt: skip
def test_damaged_merges(folder, change, place, message):
    path = folder / "merges.txt"
    lines = path.read_text(encoding="utf-8").split("\n")
    change(lines)
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(TokenizerError) as info:
        BPETokenizer.from_files(folder / "vocab.json", path)
    assert f"{path}{place}" in str(info.value)
    assert message in str(info.value)


def test_merges_that_are_not_utf8(folder):
    (folder / "merges.txt").write_bytes(b"#version: 0.2\n\xff \xfe\n")
    with pytest.raises(TokenizerError, match=r"merges\.txt is damaged: not UTF-8"):
        BPETokenizer.from_files(folder / "vocab.json", folder / "merges.txt")


def test_damage_names_the_second_place_too(folder):
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    (folder / "merges.txt").write_text("\n".join([*lines[:4], lines[2], *lines[4:]]), encoding="utf-8")
    with pytest.raises(TokenizerError, match=r"line 5 repeats the merge .* of .*merges\.txt, line 3"):
        BPETokenizer.from_files(folder / "vocab.json", folder / "merges.txt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["model"].update(type="WordPiece"), "model.type: 'WordPiece'"),
        (lambda c: c["model"].update(type="Unigram"), "needs 'BPE' there"),
        (lambda c: c.pop("model"), "model.type: None"),
        (lambda c: c["model"].update(dropout=0.1), "model.dropout: 0.1"),
        (lambda c: c["model"].update(end_of_word_suffix="</w>"), "model.end_of_word_suffix: '</w>'"),
        (lambda c: c["model"].update(continuing_subword_prefix="##"), "continuing_subword_prefix"),
        (lambda c: c["model"].update(byte_fallback=True), "model.byte_fallback: True"),
        (lambda c: c["model"].update(ignore_merges=True), "model.ignore_merges: True"),
        (lambda c: c.update(normalizer={"type": "NFC"}), "normalizer: its type is 'NFC'"),
        (lambda c: c.update(pre_tokenizer=None), "pre_tokenizer.type: None"),
        (lambda c: c["pre_tokenizer"].update(type="Whitespace"), "pre_tokenizer.type: 'Whitespace'"),
        (lambda c: c["pre_tokenizer"].update(add_prefix_space=True), "pre_tokenizer.add_prefix_space: True"),
        (lambda c: c["pre_tokenizer"].update(use_regex=False), "pre_tokenizer.use_regex: False"),
        (lambda c: c.update(pre_tokenizer={"type": "Sequence", "pretokenizers": []}), "'Sequence'"),
        (lambda c: c.update(post_processor={"type": "TemplateProcessing"}), "'TemplateProcessing'"),
        (lambda c: c.update(decoder=None), "decoder.type: None"),
        (lambda c: c.update(truncation={"max_length": 5}), "truncation: {'max_length': 5}"),
        (lambda c: c["model"].update(vocab=[]), "model.vocab must be an object"),
        (lambda c: c["model"].update(merges={}), "model.merges a list"),
        (lambda c: c["model"]["merges"].append("q z"), "model.merges[22]: the merge 'q' + 'z' needs 'qz'"),
        (lambda c: c["model"]["merges"].append(["a", 5]), "model.merges[22]: a merge is two tokens"),
        (lambda c: c["model"]["merges"].append(7), "got 7"),
        (lambda c: c["model"]["vocab"].update(new=256), "'at' and 'new' have the same id, 256"),
        (lambda c: c.update(added_tokens={}) or c.update(added_tokens="x"), "added_tokens must be a list, got a str"),
        (lambda c: c["added_tokens"].append({"id": 3}), 'added_tokens[2]: wanted an object with "id"'),
        (lambda c: c["added_tokens"].append({"content": "<new>"}), "the id of '<new>' must be an integer"),
        (lambda c: c["added_tokens"].append({"id": 7, "content": "<new>"}), "have the same id, 7"),
        (lambda c: c["added_tokens"].append({"id": 400, "content": "<new>"}), "no token has the id 280"),
        (lambda c: c["added_tokens"][0].update(id=5), "has the id 5, in model.vocab it has 278"),
        (lambda c: c["added_tokens"][0].update(lstrip=True), "'<|endoftext|>' asks for lstrip"),
        (lambda c: c["added_tokens"][0].update(single_word=True), "asks for single_word"),
        (lambda c: c["added_tokens"].append({"id": 280, "content": "text|><", "normalized": True}), "can overlap"),
        (lambda c: c["added_tokens"].append({"id": 280, "content": "é"}), "has the id 280, in model.vocab it has"),
    ],
)
def test_tokenizer_json_that_is_damaged_or_of_another_kind(folder, change, message):
    rewrite(folder / "tokenizer.json", lambda content: change(content) and None)
    with pytest.raises(TokenizerError) as info:
        load_tokenizer(folder)
    assert str(folder / "tokenizer.json") in str(info.value)
    assert message in str(info.value)


def test_the_table_of_what_is_done_has_no_entry_without_a_test():
    (mark,) = test_tokenizer_json_that_is_damaged_or_of_another_kind.pytestmark
    tested = mark.args[1]
    messages = " ".join(message for _, message in tested)
    needed = {entry.rpartition(".")[2] for entry in bpe_files.SUPPORTED} - {"type", "padding"}
    assert all(entry in messages for entry in needed)
