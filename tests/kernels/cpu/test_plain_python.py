"""The kernels in other surroundings: as plain Python for a debugger, without a place for the cache, and not at all."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import minigpt as mg
from minigpt.backend import load

ROOT = Path(mg.__file__).parents[1]


def run(code, path=ROOT, **environment):
    """Run code in a fresh interpreter; warnings are errors there too."""
    environment = {**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1", **environment}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, cwd=path, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    return result.returncode, result.stdout, result.stderr


# Prints "same" where every function of the cpu row agrees with the reference; file and line where a warning is raised.
EVERY_FUNCTION = """
import traceback
import numpy as np
import numba
from minigpt.backend import load
assert numba.config.DISABLE_JIT
cpu, reference = load("cpu"), load("numpy")
rng = np.random.default_rng(0)
for dtype, tolerance in ((np.float32, 2e-5), (np.float64, 1e-10)):
    def f(*shape):
        return rng.normal(size=shape).astype(dtype)
    x, y, w = f(3, 5), f(3, 5), f(5, 4)
    q, k, v, dy, qkv = f(1, 2, 3, 2), f(1, 2, 4, 2), f(1, 2, 4, 2), f(1, 2, 3, 2), f(2, 3, 12)
    masked = np.where(rng.random((3, 5)) < 0.4, -np.inf, x).astype(dtype)
    masked[1] = -np.inf
    targets = np.array([4, -100, 0])
    mask = rng.random((3, 4)) < 0.7
    mask[1] = False
    a, b = (mask, True, 0.5, (0.3, 2**63 + 1, 3)), (None, True, 0.5, (0.3, 5, 0))
    out, lse = reference.attention_forward(q, k, v, *a)
    out_qkv, lse_qkv = reference.attention_qkv_forward(qkv, 2, *b)
    _, mean, rstd = reference.layernorm_forward(x)
    _, m, log_sum = reference.cross_entropy_forward(x, targets, -100, 0.1)
    int8 = reference.int8_quantize(f(3, 5))
    more = np.random.default_rng(1)
    a4, dy4, w4, h0, a1 = (more.normal(size=s).astype(dtype) for s in [(2, 4, 12), (2, 4, 3), (12, 3), (2, 3), (2, 12)])
    ends = np.array([4, 2])
    lstm = reference.lstm_forward(a4, w4, h0, h0 + 1, ends)
    gru = reference.gru_forward(a4[..., :9], w4[:9], w4[:9, 0], h0, ends)
    for name, *arguments in [
        ("gelu_forward", x * 30), ("gelu_backward", y, x * 30), ("softmax_forward", x), ("softmax_forward", masked),
        ("softmax_backward", y, x), ("log_softmax_forward", x), ("log_softmax_backward", y, x), ("matmul", x, w),
        ("linear_forward", x, w, w[0]), ("linear_backward", f(3, 4), x, w), ("linear_gelu_forward", x, w, w[0]),
        ("linear_gelu_backward", f(3, 4), x, w, f(3, 4)), ("bias_residual_forward", x, y[0], y),
        ("bias_residual_backward", x), ("attention_forward", q, k, v), ("attention_forward", q, k, v, *a),
        ("attention_backward", dy, q, k, v, out, lse, *a), ("attention_qkv_forward", qkv, 2, *b),
        ("attention_qkv_backward", f(2, 3, 4), qkv, out_qkv, lse_qkv, 2, *b),
        ("layernorm_forward", x, x[0], x[1]), ("layernorm_backward", y, x, x[0], mean, rstd),
        ("embedding_forward", np.array([2, 0, 2]), x), ("embedding_backward", x, np.array([2, 0, 2]), 4),
        ("cross_entropy_forward", x, targets, -100, 0.1), ("cross_entropy_forward", masked[::2] + 0, targets[::2]),
        ("cross_entropy_backward", x[:, 0].copy(), x, targets, m, log_sum, -100, 0.1),
        ("dropout_forward", x, 0.3, 2**63 + 1, 7), ("squared_norm", x), ("add", x, y),
        ("attention_forward", q[:, :, :1], k, v, mask[:1], True, 0.5), ("int8_linear_forward", x, *int8, x[:, 0] + 1),
        ("int8_linear_forward", f(12, 5), *int8), ("int8_embedding_forward", np.array([2, 0]), *int8),
        ("multiply", x, y), ("lstm_cell_forward", a1, h0), ("lstm_forward", a4, w4, h0, h0 + 1, ends),
        ("lstm_backward", dy4, h0, h0, w4, h0, h0 + 1, lstm[0], *lstm[3:], ends), ("lstm_cell_backward", h0,
        h0, np.abs(a4[:, 0]), h0, h0), ("gru_forward", a4[..., :9], w4[:9], w4[:9, 0], h0, ends),
        ("gru_backward", dy4, h0, w4[:9], h0, gru[0], *gru[2:], ends), ("rnn_forward", a4[..., :3], w4[:3], h0),
        ("rnn_backward", dy4, h0, w4[:3], h0, a4[..., :3], ends, "relu"),
    ]:
        with np.errstate(all="ignore"):
            wanted = getattr(reference, name)(*arguments)
        try:
            ours = getattr(cpu, name)(*arguments)
        except RuntimeWarning as warning:
            where = traceback.extract_tb(warning.__traceback__)[-1]
            print(name, warning, where.filename.rsplit("/", 1)[-1], where.name)
            continue
        pairs = zip(ours, wanted, strict=True) if isinstance(wanted, tuple) else [(ours, wanted)]
        for i, (p, r) in enumerate(pairs):
            p, r = np.asarray(p, np.float64), np.asarray(r, np.float64)
            assert np.array_equal(np.isfinite(p), np.isfinite(r)), name
            finite = np.isfinite(r)
            if finite.any() and not np.abs(p[finite] - r[finite]).max() <= tolerance * max(np.abs(r[finite]).max(), 1):
                print(name, "output", i, "differs", p, r)
    arrays = [[u.copy() for u in (x, y, x, np.abs(y))] for _ in range(2)]
    for row, four in zip((cpu, reference), arrays):
        row.adam_step(*four, 3, 0.1, 0.9, 0.99, 1e-8, 0.1, True)
    assert all(np.allclose(p, r, rtol=1e-5) for p, r in zip(*arrays))
print("same")
"""


def test_every_function_as_plain_python():
    code, out, err = run(EVERY_FUNCTION, NUMBA_DISABLE_JIT="1")
    assert err == ""
    assert out == "same\n"
    assert code == 0


A_STEP = """
import numpy as np
from minigpt.data import TokenData
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer
for row in ("numpy", "cpu"):
    model = GPT(GPTConfig(9, 6, n_layer=1, n_head=2, n_embd=4, dropout=0.2), seed=0)
    config = TrainConfig(steps=5, batch_size=3, warmup=0, backend=row, workers=2, progress=False)
    trainer = Trainer(model, TokenData(np.arange(60) * 7 % 9), config)
    print(*(f"{trainer.step():.5f}" for _ in range(2)))
"""


def test_training_steps_as_plain_python():
    _, out, err = run(A_STEP, NUMBA_DISABLE_JIT="1")
    assert err == ""
    on_numpy, on_cpu = out.splitlines()
    assert on_cpu == on_numpy
    assert run(A_STEP)[1].splitlines() == [on_numpy, on_numpy]  # and compiled


# --- the cache ------------------------------------------------------------------------------------------------------

USE_A_KERNEL = """
import numpy as np
import minigpt as mg
with mg.use("cpu"):
    print(mg.functional.softmax(mg.Tensor(np.zeros((1, 2), np.float32))).numpy().tolist())
"""


def test_a_cache_folder_that_cannot_be_used_is_passed_over(tmp_path):
    """NUMBA_CACHE_DIR is a file: nothing can be written there. Numba goes on to its other places."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    code, out, err = run(USE_A_KERNEL, NUMBA_CACHE_DIR=str(tmp_path / "file"))
    assert (code, out, err) == (0, "[[0.5, 0.5]]\n", "")


def copy_of_the_kernels(folder):
    for package in ("kernels", "minigpt"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "kernels" / "cpu"


def test_without_any_place_for_the_cache_the_kernels_still_work(tmp_path):
    """An installation that may not be written to, and a home that does not exist: compile, keep it in memory only."""
    kernels = copy_of_the_kernels(tmp_path)
    nowhere = tmp_path / "file"
    nowhere.write_text("in the way", encoding="utf-8")
    (kernels / "__pycache__").write_text("in the way", encoding="utf-8")
    places = ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "NUMBA_CACHE_DIR")
    places = dict.fromkeys(places, str(nowhere))
    code, out, err = run(USE_A_KERNEL, tmp_path, PYTHONDONTWRITEBYTECODE="1", **places)
    assert out == "[[0.5, 0.5]]\n", err
    assert code == 0


# --- what is imported -----------------------------------------------------------------------------------------------


def test_the_numpy_row_never_loads_numba():
    code = """
import sys
import numpy as np
import minigpt as mg
from minigpt.data import TokenData
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer
print([name for name in ("numba", "llvmlite", "scipy", "matplotlib") if name in sys.modules])
model = GPT(GPTConfig(9, 6, n_layer=1, n_head=2, n_embd=4, dropout=0.1), seed=0)
ids = np.zeros((2, 6), np.int64)
logits, loss = model(ids, ids)
loss.backward()
mg.optim.AdamW(model.parameters(), 0.1).step()
model.generate(ids[:, :2], 3, temperature=0)
print([name for name in ("numba", "llvmlite", "scipy", "matplotlib") if name in sys.modules])
config = TrainConfig(steps=2, batch_size=2, warmup=0, backend="numpy", workers=2, progress=False)
Trainer(model, TokenData(np.arange(60) % 9), config).step()
print([name for name in ("numba", "llvmlite") if name in sys.modules])
print([name for name in sys.modules if name.startswith("kernels.cpu")])
"""
    assert run(code) == (0, "[]\n[]\n[]\n[]\n", "")


def test_the_row_is_complete():
    row = load("cpu")
    assert row.name == "cpu"
    assert row.softmax_forward(np.zeros((1, 2))).tolist() == [[0.5, 0.5]]
    assert row.sgd_step is load("numpy").sgd_step  # what has no kernel is the reference's
