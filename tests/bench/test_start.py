"""The start benchmark: real processes, phases in order, a cold cache that is nobody's, failures that are told."""

import pytest

import minigpt as mg
from minigpt.bench import start
from minigpt.cli import main
from minigpt.errors import BackendError

needs_numba = pytest.mark.skipif(mg.backends()["cpu"] is not True, reason="times the cpu row")


@pytest.fixture
def launched(monkeypatch):
    """The environments of the children, which are launched as they would be."""
    environments = []
    popen = start.subprocess.Popen

    def noted(command, **options):
        environments.append(dict(options["env"]))
        return popen(command, **options)

    monkeypatch.setattr(start.subprocess, "Popen", noted)
    return environments


@needs_numba
def test_a_cold_start_compiles_into_a_folder_of_its_own(launched, tmp_path):
    seconds = start.one_start(str(tmp_path), threads=1)
    assert list(seconds) == list(start.PHASES)
    assert all(0 < phase < 300 for phase in seconds.values())
    compiled = {path.name.split(".")[1].split("-")[0] for path in tmp_path.rglob("*.nbi")}
    assert {"adam_v2", "_forward_heads", "_backward_heads", "cross_entropy_v2"} <= compiled
    assert launched[0]["NUMBA_CACHE_DIR"] == str(tmp_path)


@needs_numba
def test_a_warm_start_on_the_command_line(launched, capsys):
    assert main(["bench", "start", "--runs", "1", "--threads", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("warm (kernels from the cache): ")
    assert out[0].endswith("s from process start to the end of the first step (one run)")
    total = float(out[0].split(": ")[1].split(" s")[0])
    phases = [float(line.split()[-2]) for line in out[1:]]
    assert len(phases) == len(start.PHASES)
    assert total == pytest.approx(sum(phases), abs=0.03)
    assert len(launched) == 2  # the first fills the cache and does not count
    assert launched[0] == launched[1]


def test_cold_runs_have_no_warm_up_and_a_new_folder_each(monkeypatch):
    folders = []
    monkeypatch.setattr(start, "one_start", lambda cache, threads: folders.append(cache) or {"end": 1.0})
    assert start.start_times(cold=True, runs=2) == [{"end": 1.0}, {"end": 1.0}]
    assert len(set(folders)) == 2
    assert None not in folders


def test_medians_of_the_whole_and_of_each_phase():
    runs = [dict(zip(start.PHASES, seconds, strict=True)) for seconds in ((1, 2, 3, 4), (2, 2, 2, 9), (1, 1, 1, 1))]
    lines = start.report(True, runs).splitlines()
    assert lines[0] == (
        "cold (kernels compiled on the way): 10.00 s from process start to the end of the first step "
        "(4.00 to 15.00 in 3)"
    )
    assert [float(line.split()[-2]) for line in lines[1:]] == [1, 2, 2, 4]


def test_a_child_that_fails_gives_no_figure(monkeypatch, capfd):
    monkeypatch.setattr(start.os, "environ", {**start.os.environ, "PYTHONHASHSEED": "wrong"})
    with pytest.raises(BackendError, match=r"ended with code 1 after \[\]"):
        start.one_start(None, threads=1)
    assert "PYTHONHASHSEED" in capfd.readouterr().err  # the reason is on stderr


def test_without_numba_nothing_is_launched(monkeypatch, capsys):
    monkeypatch.setattr(start, "load", failing_load)
    monkeypatch.setattr(start, "one_start", lambda *arguments: pytest.fail("launched"))
    assert main(["bench", "start", "--runs", "1"]) == 2
    assert capsys.readouterr().err == "error: it needs numba\n"


def failing_load(name):
    raise BackendError("it needs numba")
