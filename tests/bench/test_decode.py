"""The decoding benchmark: bytes are counted right, sides run in turn, ratios are those of neighbours."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.bench import decode
from minigpt.bench.decode_sides import SIDES, decode_config, token_bytes
from minigpt.cli import main
from minigpt.errors import ArgumentError, BackendError
from minigpt.models import GPT, GPTConfig
from minigpt.nn.int8 import weight_bytes


@pytest.mark.parametrize("bias", [True, False])
def test_bytes_of_a_token_are_those_of_the_weights(bias):
    model = GPT(GPTConfig(50, 7, n_layer=3, n_head=2, n_embd=12, bias=bias))
    positions = model.wpe.weight.data.nbytes  # of which a token reads one row
    floats, int8 = token_bytes(model.config)
    assert floats == weight_bytes(model) - positions
    assert int8 == weight_bytes(model.quantize()) - positions


def test_sides_run_in_turn_in_processes_of_their_own():
    result = decode.compare("baby", None, True, prompt=3, new=4, rounds=2, threads=2)
    assert {name: len(times) for name, times in result["times"].items()} == {"ours": 2, "ours-int8": 2, "memory": 2}
    assert all(0 < seconds < 60 for times in result["times"].values() for seconds in times)
    lines = decode.report(result).splitlines()
    assert lines[0].startswith("baby, one sequence, 3 + 4 tokens, 2 threads, 2 rounds in turn")
    assert [line.split()[0] for line in lines[1:]] == ["ours", "ours-int8", "memory", "int8"]


def test_ratios_are_of_neighbours_and_the_floor_is_that_of_the_round():
    floats, int8 = token_bytes(decode_config("gpt2"))
    result = {
        "shape": "gpt2", "peer": "transformers", "prompt": 16, "new": 64, "threads": 2,
        "memory": dict.fromkeys(("ours", "ours-int8", "transformers", "memory"), (10**9, 10**8)),
        "times": {"ours": [2.0, 4.0, 2.0], "ours-int8": [1.0, 1.0, 0.5], "transformers": [4.0, 4.0, 5.0],
                  "memory": [1.0, 3.0, 1.0]},
    }  # fmt: skip
    lines = decode.report(result).splitlines()
    assert lines[1].split()[:2] == ["ours", "32.0"]  # 64 tokens in 2 s, the median
    assert "50% of what memory allows (497 MB" in lines[1].replace(f"{floats / 1e6:.0f}", "497")
    assert "2.00 (1.00 to 2.50) x transformers" in lines[1]
    assert f"{int8 / floats * 2:.0%} of what memory allows" in lines[2]  # shares 1, 3 and 2 times the ratio of bytes
    assert "4.00 (4.00 to 10.00) x transformers" in lines[2]
    assert lines[-1] == "  int8 / float32: 4.00 (2.00 to 4.00)"


def test_what_cannot_be_measured_is_refused(monkeypatch, capsys):
    with pytest.raises(ArgumentError, match=r"60 \+ 5 tokens .* 'baby', 64"):
        decode.compare("baby", None, False, 60, 5, 1, 1)
    monkeypatch.setattr(decode.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match="transformers is not installed"):
        decode.compare("baby", "transformers", False, 3, 4, 1, 1)
    assert main(["bench", "decode", "--shape", "baby", "--prompt", "64"]) == 2
    assert "context" in capsys.readouterr().err


def test_on_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(decode, "compare", lambda *arguments: arguments)
    monkeypatch.setattr(decode, "report", lambda result: f"compared {result}")
    assert main(["bench", "decode", "--int8", "--peer", "transformers", "--rounds", "3"]) == 0
    assert capsys.readouterr().out == "compared ('gpt2', 'transformers', True, 16, 64, 3, 2)\n"


@pytest.mark.parametrize("name", ["ours", "ours-int8", "memory"])
def test_a_step_is_a_whole_text(name, monkeypatch):
    texts, reads = [], []
    generate = GPT.generate
    monkeypatch.setattr(GPT, "generate", lambda *args, **kw: texts.append(generate(*args, **kw)) or texts[-1])
    with mg.use("numpy"):
        try:
            side = SIDES[name]("baby", 3, 5, 1)
            if name == "memory":
                monkeypatch.setattr(side, "row", type("Row", (), {"squared_norm": lambda self, x: reads.append(x)})())
            side.step()
        finally:
            mg.use("numpy")
            if name != "memory":
                side.limits.restore_original_limits()
    if name == "memory":
        assert sum(x.nbytes for x in reads) == 5 * token_bytes(decode_config("baby"))[0]
    else:
        assert [text.shape for text in texts] == [(1, 8)]
        assert np.array_equal(texts[0][:, :3], side.ids)
