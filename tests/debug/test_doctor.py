"""The doctor in broken environments: each fault is found, said, and comes with the command that mends it."""

import configparser
import json
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

import minigpt as mg
from minigpt import cuda_state
from minigpt.cli import main
from minigpt.debug import doctor_machine as machine
from minigpt.debug import doctor_python as python
from minigpt.debug.doctor import NOTE, OK, STOP, Finding, checked, examine, exit_code, report

ROOT = Path(mg.__file__).parents[1]


def run_doctor(*before, path=(), folder=None, **environment):
    """(exit code, findings by name) of `python -m minigpt doctor --json` in a process of its own."""
    there = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), str(ROOT)]), **environment}
    done = subprocess.run(
        [sys.executable, *before, "-m", "minigpt", "doctor", "--json"], capture_output=True, text=True, timeout=120,
        env=there, cwd=folder or ROOT,
    )  # fmt: skip
    assert done.stderr == ""
    findings = {}
    for found in json.loads(done.stdout):
        findings.setdefault(found["about"], []).append(Finding(**found))
    return done.returncode, findings


def only(check):
    (finding,) = check()
    return finding


def test_here_everything_works(capsys):
    findings = examine()
    assert [f for f in findings if f.state == STOP] == []
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for finding in findings:
        assert finding.text in out
        assert (finding.mend == "") == (finding.state == OK)
    assert out.splitlines()[-1].startswith("everything works")
    wanted = {"interpreter", "packages", "files", "disk", "BLAS", "CUDA", "fonts", "Jupyter"}
    assert wanted <= {f.about for f in findings}


def test_exit_code_and_report_follow_the_worst_finding():
    fine, could_be_better, broken = (
        Finding("a", OK, "x"),
        Finding("bb", NOTE, "y", "do"),
        Finding("c", STOP, "z", "act"),
    )
    assert [exit_code(found) for found in ([fine], [fine, could_be_better], [broken, fine])] == [0, 0, 1]
    assert report([fine, could_be_better]).splitlines() == [
        "ok    a   x", "note  bb  y", "          mend: do", "everything works; 1 could be better (note)"
    ]  # fmt: skip
    assert report([broken]).splitlines()[-1].startswith("1 of these")


# --- in a process of its own ---------------------------------------------------------------------------------------


def test_without_any_package_it_still_runs_and_says_what_to_install():
    """No site-packages at all: not even NumPy, without which the other commands cannot be imported."""
    code, findings = run_doctor("-S")
    assert code == 1
    for name, oldest in python.REQUIRED.items():
        (finding,) = findings[name]
        assert (finding.state, finding.mend) == (STOP, python.pip(f"install '{name}>={oldest}'"))
    assert findings["numba"][0].state == NOTE
    assert "numpy is missing" in findings["blas"][0].text
    assert findings["files"][0].state == OK


def test_another_package_called_kernels(tmp_path):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text("answer = 42\n", encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    for folder, mend in ((tmp_path / "elsewhere", f"export PYTHONPATH={ROOT}"), (tmp_path, "cd ..")):
        code, findings = run_doctor(path=[tmp_path], folder=folder)
        (finding,) = findings["files"]
        assert code == 1
        assert finding.state == STOP
        assert str(tmp_path / "kernels") in finding.text
        assert finding.mend.startswith(mend)


def test_kernels_that_cannot_be_kept(tmp_path):
    """Neither the folder of the kernels nor the home can be written."""
    import shutil

    for package in ("kernels", "minigpt"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    nowhere = tmp_path / "file"
    nowhere.write_text("in the way", encoding="utf-8")
    (tmp_path / "kernels" / "cpu" / "__pycache__").write_text("in the way", encoding="utf-8")
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "NUMBA_CACHE_DIR"), str(nowhere))
    config = {"MPLCONFIGDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    code, findings = run_doctor(path=[tmp_path], folder=tmp_path, **places, **config)
    (finding,) = findings["kernel cache"]
    assert code == 0  # slower, but it works
    assert finding.state == NOTE
    assert "compiled anew in every process" in finding.text
    assert "export NUMBA_CACHE_DIR=" in finding.mend


def test_jit_disabled():
    code, findings = run_doctor(NUMBA_DISABLE_JIT="1")
    assert code == 0
    assert findings["Numba"][0].mend == "unset NUMBA_DISABLE_JIT"
    assert "kernel cache" not in findings


# --- stand-ins -------------------------------------------------------------------------------------------------------


def test_floors_are_those_of_the_distribution():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = [line.partition(";")[0].strip() for line in setup["options"]["install_requires"].splitlines()]
    floors = dict(line.split(">=") for line in lines if ">=" in line and not line.startswith("tomli"))
    assert floors == {**python.REQUIRED, **python.FAST}
    assert setup["options"]["python_requires"] == ">=" + ".".join(map(str, python.OLDEST_PYTHON))


def test_an_old_interpreter(monkeypatch):
    monkeypatch.setattr(python.sys, "version_info", (3, 9, 18))
    finding = only(python.interpreter)
    assert finding.state == STOP
    assert "needs Python 3.10" in finding.text
    assert "python3.10 -m venv" in finding.mend


@pytest.mark.parametrize(("version", "state"), [("1.25.2", STOP), ("1.26.0", OK), ("2.0.0rc1", OK), ("10.1", OK)])
def test_versions_are_compared_as_numbers(monkeypatch, version, state):
    monkeypatch.setattr(python, "installed_version", lambda name: version if name == "numpy" else "9999")
    finding = python.packages()[0]
    assert finding.state == state
    if state == STOP:
        assert finding.about == "numpy"
        assert "1.25.2 is too old" in finding.text
        assert finding.mend.endswith("install --upgrade 'numpy>=1.26'")


def test_without_numba_the_numpy_row_does_everything(monkeypatch):
    monkeypatch.setattr(python, "installed_version", lambda name: None if name == "numba" else "9999")
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None)
    finding, _ = python.packages()
    assert (finding.about, finding.state) == ("numba", NOTE)
    assert finding.mend.endswith("-m pip install 'numba>=0.59'")
    assert machine.numba() == machine.kernel_cache() == []


def test_a_numba_that_does_not_start(monkeypatch):
    """As beside a NumPy that is too new for it."""
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: name)
    finding = only(machine.numba)
    assert finding.state == STOP
    assert "does not start" in finding.text
    assert "install --upgrade numba" in finding.mend
    assert machine.kernel_cache() == []


def test_another_distributions_kernels_beside_ours(monkeypatch, tmp_path):
    (tmp_path / "kernels.py").write_text("", encoding="utf-8")
    spec = namedtuple("Spec", "origin submodule_search_locations")(str(tmp_path / "kernels.py"), None)
    monkeypatch.setattr(python.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(
        python.importlib.metadata, "packages_distributions", lambda: {"kernels": ["minigpt", "kernels"]}
    )
    finding = only(python.own_files)
    assert finding.state == STOP
    assert "pip uninstall kernels && " in finding.mend
    monkeypatch.setattr(python.importlib.util, "find_spec", lambda name: None)
    assert "is missing" in only(python.own_files).text


@pytest.mark.parametrize(("free", "state"), [(40e6, STOP), (500e6, NOTE), (5e9, OK)])
def test_a_full_disk(monkeypatch, free, state):
    monkeypatch.setattr(python.shutil, "disk_usage", lambda place: namedtuple("Usage", "free")(free))
    findings = python.disk()
    assert {f.state for f in findings} == {state}
    assert len(findings) == (1 if state == OK else 3)
    assert all(f.mend.startswith("du ") for f in findings if state != OK)


def pool(threads, **more):
    return {"user_api": "blas", "internal_api": "openblas", "version": "0.3", "num_threads": threads, **more}


@pytest.mark.parametrize(
    ("pools", "variable", "state", "mend"),
    [
        ([pool(4)], None, OK, ""),
        ([pool(9)], None, NOTE, "export OMP_NUM_THREADS=4"),
        ([pool(1)], "OPENBLAS_NUM_THREADS", NOTE, "unset OPENBLAS_NUM_THREADS"),
        ([{"user_api": "openmp", "num_threads": 4}], None, NOTE, "numpy"),
    ],
)
def test_blas(monkeypatch, pools, variable, state, mend):
    for name in machine.LIMITS:
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: pools)
    monkeypatch.setattr(machine, "cores", lambda: 4)
    finding = only(machine.blas)
    assert finding.state == state
    assert mend in finding.mend


def test_caches(monkeypatch, tmp_path):
    pytest.importorskip("numba")
    monkeypatch.setattr(machine, "numba", lambda: [Finding("Numba", OK, "")])
    monkeypatch.setattr(machine, "cache_folder", lambda: tmp_path)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert "the first run compiles" in only(machine.kernel_cache).text
    (tmp_path / "softmax.1.nbc").write_bytes(b"x" * 1000)
    assert only(machine.kernel_cache).state == OK
    os.utime(tmp_path / "softmax.1.nbc", (0, 0))
    old = only(machine.kernel_cache)
    assert (old.state, old.mend) == (NOTE, f"rm {tmp_path}/*.nb[ci]")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert "cannot be written" in only(machine.kernel_cache).text


@pytest.mark.parametrize(
    ("driver", "state", "finding", "text", "mend"),
    [
        ("no NVIDIA driver was found (libcuda.so.1); …", "", OK, "no card", ""),
        ("the NVIDIA driver does not start (cuInit returned 100): …", "", NOTE, "cuInit returned 100", "nvidia-smi"),
        ("the NVIDIA driver sees no card (…)", "", NOTE, "sees no card", "nvidia-smi"),
        (12040, "", NOTE, "driver for CUDA 12.4, kernels are compiled with 13.0: the driver is too old", "driver"),
        (13000, "it needs numba-cuda: …", NOTE, "it needs numba-cuda", "pip install 'minigpt[cuda]'"),
        (13010, True, OK, "driver for CUDA 13.1, kernels are compiled with 13.0", ""),
    ],
)
def test_cards(monkeypatch, driver, state, finding, text, mend):
    monkeypatch.delenv("MINIGPT_CUDA_SIMULATOR", raising=False)
    monkeypatch.setattr(cuda_state, "driver_version", lambda: driver)
    monkeypatch.setattr(cuda_state, "cuda_state", lambda: state)
    found = only(machine.card)
    assert found.state == finding
    assert text in found.text
    assert mend in found.mend
    monkeypatch.setenv("MINIGPT_CUDA_SIMULATOR", "1")
    assert only(machine.card).mend == "unset MINIGPT_CUDA_SIMULATOR"


def test_fonts(monkeypatch):
    monkeypatch.setattr(machine, "chinese_font", lambda: "Noto Sans CJK SC")
    assert only(machine.fonts).state == OK
    monkeypatch.setattr(machine, "chinese_font", lambda: None)
    finding = only(machine.fonts)
    assert finding.state == NOTE
    assert "fontlist" in finding.mend


def test_a_font_without_the_letters_does_not_count(monkeypatch):
    from matplotlib import font_manager

    latin = [font for font in font_manager.fontManager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", latin)
    assert machine.chinese_font() is None
    monkeypatch.setattr(machine, "CHINESE", "abc")
    assert machine.chinese_font() == "DejaVu Sans"


def test_jupyter_kernels(monkeypatch, tmp_path):
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None)
    assert only(machine.jupyter).mend.endswith("pip install 'minigpt[notebooks]'")
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(machine, "installed_version", lambda name: "7.0")
    monkeypatch.setattr(machine, "kernel_folders", lambda: [tmp_path, tmp_path / "missing"])
    for name, argv in (("alive", [sys.executable]), ("relative", ["python"]), ("odd", []), ("gone", ["/no/python"])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kernel.json").write_text(json.dumps({"argv": argv}), encoding="utf-8")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "kernel.json").write_text("{", encoding="utf-8")
    finding = only(machine.jupyter)
    assert "'gone' starts /no/python" in finding.text
    assert finding.mend.endswith("kernelspec remove gone")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.undo()
    assert all(folder.name == "kernels" for folder in machine.kernel_folders())


def test_a_check_that_cannot_be_made_is_a_finding():
    def broken_thing():
        raise OSError("no such device")

    def lacking():
        raise ModuleNotFoundError("no", name="scipy.linalg")

    (finding,) = checked(broken_thing)
    assert (finding.about, finding.state) == ("broken thing", STOP)
    assert "no such device" in finding.text
    assert checked(lacking)[0].state == NOTE
