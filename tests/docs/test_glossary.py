"""docs/glossary.md: each row has a formula, a file that is there, a notebook of the course; no formula is left out."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/glossary.md"
HEAD = ["what", "formula", "shapes", "computed in", "shown in"]
COURSE = (
    "00_start_here", "01_tensors", "02_backward", "03_softmax_cross_entropy", "04_embeddings_positions",
    "05_attention", "06_multi_head", "07_layernorm_residual", "08_gpt", "09_adam", "10_training", "11_sampling",
    "12_tokenizers", "13_attention_of_a_trained_model", "14_kernels", "15_encoder_decoder", "16_recurrent",
    "17_finetuning_chat", "18_from_formula_to_code", "19_chinese",
)  # fmt: skip


def rows(text):
    """Cells of every row below a head with the five columns."""
    found, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        inside = cells == HEAD or (inside and bool(cells))
        if inside and cells != HEAD and not set(line) <= set("|- "):
            found.append(cells)
    return found


def wrong(text):
    """What is wrong with the page, row by row."""
    complaints = []
    for cells in rows(text):
        if len(cells) != len(HEAD):
            complaints.append(f"{cells[0]}: {len(cells)} cells")
            continue
        what, formula, _, files, notebooks = cells
        if not formula:
            complaints.append(f"{what}: no formula")
        paths = re.findall(r"`([^`]+)`", files)
        if not paths:
            complaints.append(f"{what}: no file")
        complaints += [f"{what}: there is no {path}" for path in paths if not (ROOT / path).is_file()]
        if notebooks == "none yet":
            continue
        links = re.findall(r"\[(\d\d)\]\(\.\./notebooks/(\w+)\.ipynb\)", notebooks)
        if not links:
            complaints.append(f"{what}: no notebook")
        for number, stem in links:
            if stem not in COURSE and not (ROOT / f"notebooks/{stem}.ipynb").exists():
                complaints.append(f"{what}: there is no notebook {stem}")
            if not stem.startswith(f"{number}_"):
                complaints.append(f"{what}: [{number}] leads to {stem}")
    return complaints


def test_every_row_leads_to_a_file_and_a_notebook():
    text = PAGE.read_text(encoding="utf-8")
    assert len(rows(text)) >= 50
    assert wrong(text) == []
    assert [cells[0] for cells in rows(text) if cells[4] == "none yet"] == ["additive attention"]


def test_every_file_with_formulas_appears():
    text = PAGE.read_text(encoding="utf-8")
    files = {path.name for path in (ROOT / "kernels/reference").glob("*.py")} - {"__init__.py"}
    assert len(files) >= 15
    named = {Path(path).name for cells in rows(text) for path in re.findall(r"`(kernels/reference/\w+\.py)`", cells[3])}
    assert files == named


def test_files_named_in_the_text_exist():
    for path in re.findall(r"`((?:minigpt|kernels|docs)/[\w/.]*)`", PAGE.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path


ROW = "| a | `y = x` | `(N,)` | `kernels/reference/softmax.py` | [01](../notebooks/01_tensors.ipynb) |"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("softmax.py", "softmin.py", "a: there is no kernels/reference/softmin.py"),
        ("01_tensors", "01_numbers", "a: there is no notebook 01_numbers"),
        ("[01]", "[02]", "a: [02] leads to 01_tensors"),
        ("`y = x`", "", "a: no formula"),
        ("| `(N,)` |", "|", "a: 4 cells"),
        ("`kernels/reference/softmax.py`", "softmax", "a: no file"),
        ("[01](../notebooks/01_tensors.ipynb)", "01", "a: no notebook"),
    ],
)
def test_a_wrong_row_is_found(old, new, complaint):
    page = "| " + " | ".join(HEAD) + " |\n| --- | --- | --- | --- | --- |\n"
    assert wrong(page + ROW) == []
    assert old in ROW
    assert wrong(page + ROW.replace(old, new)) == [complaint]
