# ---
# jupyter:
#   minigpt:
#     numba: true
# ---

# %% [markdown]
# # Kernels: from a loop to fused attention
#
# **Aim** See where the time goes: climb from a triple loop in Python to compiled loops, to attention that never writes its
# matrix of weights, and to the threads of a graphics card; and judge each step by what the machine could do at best.
#
# **Time** 50 minutes
#
# **Prerequisites** [05 Attention](05_attention.ipynb); [03 Softmax and cross entropy](03_softmax_cross_entropy.ipynb)
#
# The times below are those of the machine that built this page, busy with other things. Run the cells: yours count.

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import inspect
import os
import time

os.environ["MINIGPT_CUDA_SIMULATOR"] = "1"  # for the last part: a card made of Python

import matplotlib.pyplot as plt
import numba
import numpy as np

from minigpt import nn
from minigpt.backend import ladders, load, trace_kernel
from minigpt.bench.kernels import measure
from minigpt.bench.kernels_cases import cases
from minigpt.training.workers import ThreadSettings
from minigpt.viz import KernelThreads

# %% [markdown]
# ## The formula as a loop
#
# A *kernel* is a function on arrays that does one thing: a matrix product, a softmax. All kernels of the library stand in
# `kernels/`, each as a *ladder*: the naive version first, then rung by rung what makes it faster. All rungs give the same
# result. This is the first rung of the matrix product:

# %%
matmul = ladders()["matmul"]
first = matmul[0].function
print(inspect.getsource(first.py_func).split("\n", 2)[2])  # without the two decorators

# %% [markdown]
# It is the definition, $y_{ij} = \sum_k a_{ik} b_{kj}$, and it is also valid Python: `first.py_func` is the function
# before anybody compiled it. **Predict:** how many multiplications has a product of two `(64, 64)` matrices? And how long
# does Python take for one?


# %%
def seconds(run, times=3):
    """The best of some runs: whatever disturbs only makes it slower."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


n = 64
a, b = np.random.default_rng(0).standard_normal((2, n, n), dtype=np.float32)
y = np.empty((n, n), np.float32)
python = seconds(lambda: first.py_func(a, b, y), times=1)
print(f"{n**3:,} multiplications, {python:.3f} s, {python / n**3 * 1e9:,.0f} ns each")
print("right:", np.allclose(y, a @ b, atol=1e-4))

# %% [markdown]
# A processor can multiply several times in *one* nanosecond. Python spends the rest on finding out, each time anew, what
# `a[i, k]` is, what `*` means for it, and where the result goes.
#
# ## The compiler
#
# Numba reads the same function, sees which types come in, and makes machine code for exactly those. That takes a while,
# once. **Predict:** the first call, the second one, and one with `float64`: which are slow?

# %%
fresh = numba.njit(first.py_func)  # compiled when it is called
for name, dtype in [("float32", np.float32), ("float32", np.float32), ("float64", np.float64)]:
    given = a.astype(dtype), b.astype(dtype), y.astype(dtype)
    start = time.perf_counter()
    fresh(*given)
    print(f"{name}: {(time.perf_counter() - start) * 1e3:10.2f} ms")
compiled = seconds(lambda: fresh(a, b, y))
print(f"{python / compiled:,.0f} times as fast as Python")
print("compiled for", len(fresh.signatures), "kinds of arguments")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The first and the third: there is machine code for each combination of types, made when it is first needed. The
# library's kernels are compiled with `cache=True`, which keeps the code on disk for the next time that you start Python.
#
# You cannot step into machine code with a debugger. With `NUMBA_DISABLE_JIT=1` in the environment every kernel is the
# plain Python that you see; `docs/debugging.md` shows how.
# </details>
#
# ## Climb the ladder
#
# Each rung says in a line what it adds. **Predict:** rung 2 does the same multiplications as rung 1 in another order. Why
# should that matter at all? (Our kernels run on one thread each. `one_thread` holds BLAS to one as well, so that we
# compare like with like.)

# %%
n, one_thread = 256, ThreadSettings()
a, b = np.random.default_rng(0).standard_normal((2, n, n), dtype=np.float32)
y, expected = np.empty((n, n), np.float32), a @ b
with one_thread:
    for rung in matmul:
        rung.function(a, b, y)
        assert np.allclose(y, expected, atol=1e-3)  # check first, then time
        rate = 2 * n**3 / seconds(lambda kernel=rung.function: kernel(a, b, y), 5)
        print(f"{rung.number}  {rate / 1e9:6.1f} GFLOP/s  {rung.idea}")

# %% [markdown]
# <details><summary>Why the order matters</summary>
#
# Memory hands out neighbours. In rung 1 the inner loop walks *down* a column of `b`: from each line that memory brings,
# one number is used. In rung 2 it walks *along* a row, and the compiler can also take eight neighbours at a time with
# one instruction. The last rung calls BLAS, the product that people have tuned for decades; it keeps tiles of both
# matrices in the processor's registers. Rungs 3 and 4 show two of its ideas, and are not always faster: measuring is
# part of the climb.
# </details>
#
# ## How fast could it be? The roofline
#
# Whatever a kernel does, it takes at least the time of its arithmetic, and at least the time to move its data:
#
# $$\text{time} \ge \max\left(\frac{\text{FLOPs}}{\text{peak}},\ \frac{\text{bytes}}{\text{bandwidth}}\right)$$
#
# FLOPs per byte, the *intensity*, says which of the two is the limit. **Predict** for each: matrix product, GELU, layer
# norm. Does arithmetic or memory limit it?

# %%
names = ["matmul", "gelu_forward", "softmax_forward", "layernorm_forward", "attention_forward"]
measured = {}
with one_thread:
    for case in cases():
        if case.kernel in names:
            ladder = ladders()[case.kernel]
            measured[case.kernel] = measure(case, ladder, rounds=2, seconds=0.002, peak_size=512)
print(f"{'':<18}{'FLOP/byte':>10}  {'first rung':>14}{'last rung':>16}{'of roofline':>13}")
for name, m in measured.items():
    slow, fast = (m.case.flops / f.seconds / 1e9 for f in (m.figures[0], m.figures[-1]))
    print(f"{name:<18}{m.case.flops / m.case.bytes:>10.1f}", end="")
    print(f"{slow:>8.1f} GFLOP/s{fast:>8.1f} GFLOP/s{m.figures[-1].share:>13.0%}")

# %% tags=["picture"]
peak = np.median([m.peak for m in measured.values()])
bandwidth = np.median([m.bandwidth for m in measured.values()])
intensity = np.logspace(-1, 3, 200)
_, ax = plt.subplots(figsize=(7, 3.6))
ax.loglog(intensity, np.minimum(peak, intensity * bandwidth) / 1e9, "k", label="roofline")
for name, m in measured.items():
    x = m.case.flops / m.case.bytes
    rates = [m.case.flops / f.seconds / 1e9 for f in m.figures]
    ax.plot([x] * len(rates), rates, "-o", ms=4, label=name)
ax.set(xlabel="intensity, FLOP per byte", ylabel="GFLOP/s")
ax.set_title("Each point a rung, from the naive loop up", fontsize=10)
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# <details><summary>How to read it</summary>
#
# On the left the roof slants: there memory is the limit, and only moving *fewer bytes* helps. On the right it is flat: there
# the arithmetic is the limit. Layer norm is on the left, the matrix product far to the right. That is why fused kernels
# pay: bias, GELU and residual done while the numbers are at hand move nothing more. (A point may lie above the slope: a
# small problem stays in the cache. `python -m minigpt bench kernels` takes its time, and prints all ladders.)
# </details>
#
# ## A clever idea that lost
#
# The softmax needs the maximum of a row, then the sum of the exponentials, then a division: three passes. There is a
# version that finds maximum and sum in *one* pass. **Predict:** how much faster is it?

# %%
for f in measured["softmax_forward"].figures:
    per_element = f.seconds / measured["softmax_forward"].case.elements
    print(f"{f.number}  {per_element * 1e9:6.2f} ns per element  {f.idea}")

# %% [markdown]
# <details><summary>What to see</summary>
#
# It is not. A row lies in the fastest cache, so passes over it cost next to nothing; what costs is `exp`, and the second
# rung calls it twice as often, with a branch in between. The third goes back to three plain loops, and writes `exp` as a
# few multiplications that the processor does eight at a time. On a graphics card, where rows come from far away, the one
# pass does pay. Which idea wins is a question to the machine.
# </details>
#
# ## Fewer bytes: weights in one byte
#
# To write one token, a model multiplies *one row* with each of its matrices: every weight is fetched for a single
# multiplication. **Predict:** which side of the roofline is that? And what would halving the bytes bring?
#
# An `int8` weight has a quarter of the bytes: a whole number `q` from -127 to 127, and a scale for each output.

# %%
weight = np.random.default_rng(0).standard_normal((8192, 768), dtype=np.float32) / 28  # (out, in)
row = np.random.default_rng(1).standard_normal((1, 768), dtype=np.float32)
cpu = load("cpu")
q, scale = cpu.int8_quantize(weight)
off = abs(weight - q * scale[:, None]).max()
print(f"{weight.nbytes:,} bytes, as int8 {q.nbytes + scale.nbytes:,}")
print(f"a weight is off by at most {off:.4f}")
with one_thread:
    exact, rounded = row @ weight.T, cpu.int8_linear_forward(row, q, scale)
    slow = seconds(lambda: row @ weight.T, 5)
    fast = seconds(lambda: cpu.int8_linear_forward(row, q, scale), 5)
print(f"float32 {slow * 1e3:.2f} ms, int8 {fast * 1e3:.2f} ms; ", end="")
print(f"results differ by {abs(rounded - exact).mean() / abs(exact).mean():.1%}")

# %% [markdown]
# ## Attention, fused
#
# The naive way is that of [05 Attention](05_attention.ipynb): all scores, `(B, H, T, T)`, then all weights, then the sum.
# **Predict:** with $B = 2$, $H = 4$, $T = 256$, how many bytes is one such array? And how many has the input, with
# $C = 128$?

# %%
B, H, T, C = 2, 4, 256, 128
attention = nn.MultiHeadAttention(C, H, causal=True, rng=0)
x = mg.Tensor(np.random.default_rng(0).standard_normal((B, T, C), dtype=np.float32))
print(f"scores: {B * H * T * T * 4:,} bytes; x: {x.data.nbytes:,} bytes")
for parts in (True, False):
    with mg.use("cpu"), mg.trace(parts=parts) as t:
        attention(x).sum().backward()
    ops = [row.op for row in t.rows if row.direction == "forward"]
    print(f"{t.peak_bytes:,} bytes of activations at the most: {', '.join(ops)}")

# %% [markdown]
# The fused kernel takes a tile of queries at a time, and forgets their weights as soon as the sum is made. But backward
# needs the weights! It computes them again, from one number per query that forward kept, $\text{lse}_i = \log \sum_j
# e^{s_{ij}}$: the weight is $e^{s_{ij} - \text{lse}_i}$, no sum needed. Check that in NumPy:

# %%
q, k, v = np.random.default_rng(0).standard_normal((3, 1, 1, 6, 4))  # (B, H, T, D)
_, lse = load("numpy").attention_forward(q, k, v, causal=True, scale=4**-0.5)  # lse (1, 1, 6)
scores = q @ k.swapaxes(-1, -2) * 4**-0.5  # (1, 1, 6, 6)
weights = np.exp(scores - lse[..., None]) * np.tri(6)
print("rows add up to", weights[0, 0].sum(axis=-1).round(6))

# %% [markdown]
# Recomputing is *more* arithmetic and *less* memory. By the roofline that is often a good bargain. (Dao et al. 2022 brought
# it to graphics cards as FlashAttention.)
#
# How is the first rung written, and what came after it?

# %%
ladder = ladders()["attention_forward"]
print(inspect.getsource(ladder[0].function.py_func).split("\n", 2)[2])
for rung in ladder:
    print(f"{rung.number}  {rung.idea}")


# %%
def in_parts():
    attention(x, return_weights=True)[0].sum().backward()


def fused():
    attention(x).sum().backward()


for row in ("numpy", "cpu"):
    for run in (in_parts, fused):
        with one_thread, mg.use(row):
            run()  # once, so that everything is compiled
            print(f"{row:<6} {run.__name__:<9} {seconds(run) * 1e3:7.1f} ms forward and backward")

# %% [markdown]
# ## A graphics card, in slow motion
#
# A card runs thousands of threads at once. A CUDA kernel is the program of *one* thread, which asks who it is and takes
# its element. The library can run its CUDA kernels on a simulated card: thousands of times slower, but every thread can
# be looked at, and it notices what a real card does not. (It needs the package `greenlet`, which `make lab` installs.)

# %%
from kernels.cuda.machine import Count, Flag, Floats, cuda, kernel


@kernel(threads=32)
def doubled(x: Floats, y: Floats, n: Count):
    i = cuda.grid(1)  # number of this thread
    if i < n:
        y[i] = np.float32(2) * x[i]


x, y = np.arange(40, dtype=np.float32), np.zeros(40, np.float32)
doubled(2, 32, x, y, 40)  # 2 blocks of 32 threads
print(y)

# %% [markdown]
# **Predict:** 64 threads, 40 elements. What happens without `if i < n`?


# %%
@kernel(threads=32)
def unchecked(x: Floats, y: Floats, n: Count):
    i = cuda.grid(1)
    y[i] = np.float32(2) * x[i]


try:
    unchecked(2, 32, x, y, 40)
except IndexError as error:
    print(error)

# %% [markdown]
# A real card says nothing: it reads what lies behind the array, and writes over it.
#
# ## Which thread touches what
#
# Now a kernel of the library: layer norm of eight rows, once with a thread for each row, once with a *warp*, 32 threads,
# for each row. The accesses are noted. **Predict:** in which of them do neighbouring threads read neighbouring elements?


# %%
def layernorm_accesses(version, threads, N=8, C=32):
    x = np.random.default_rng(0).standard_normal((N, C), dtype=np.float32)
    weight, bias = np.ones(C, np.float32), np.zeros(C, np.float32)
    mean, rstd, y = np.empty(N, np.float32), np.empty(N, np.float32), np.empty_like(x)
    return trace_kernel(version, 1, threads, x, weight, bias, 1e-5, y, mean, rstd, N, C)


per_row = KernelThreads(layernorm_accesses("layernorm_v1", 8), title="One thread a row")
per_row

# %%
per_warp = KernelThreads(layernorm_accesses("layernorm_v2", 256), title="One warp a row")
per_warp

# %%
for view in (per_row, per_warp):
    cost = view.traffic("x", 0, False)
    print(f"{view.title}: {cost.accesses} loads of x, {cost.requests} requests, ", end="")
    print(f"{cost.pieces} sectors of 32 bytes, {cost.least} at best")

# %% [markdown]
# <details><summary>What to see</summary>
#
# The same loads. But memory hands out sectors of 32 bytes, and a warp's threads ask together. With a thread for each row,
# the threads that ask together want elements that lie a row apart: one sector for each, of which one number is used.
# With a warp for each row they are neighbours, and every byte that is fetched is used.
# </details>
#
# The other great means is *shared memory*, a small fast memory that the threads of a block fill together. In the matrix
# product each row of `a` is needed for many elements of `y`:

# %%
from kernels.cuda.matmul import matmul_elements, matmul_shared

M = N = 8
K = 16
a = np.random.default_rng(0).standard_normal((M, K), dtype=np.float32)
b = np.random.default_rng(1).standard_normal((K, N), dtype=np.float32)
versions = {"each for itself": (matmul_elements, 256), "tiles": (matmul_shared(8), 64)}
for name, (version, threads) in versions.items():
    y = np.zeros((M, N), np.float32)
    accesses = trace_kernel(version, 1, threads, a, 0, 0, K, 1, b, 0, 0, 1, N, y, 0, M, N, K)
    view = KernelThreads(accesses)
    print(f"{name:<16} right: {np.allclose(y, a @ b, atol=1e-5)}; of a, phase by phase:")
    for phase, between in enumerate(view.phases):
        print(f"    {between:<18}", "; ".join(view.caption("a", phase)) or "nothing")

# %%
KernelThreads(
    accesses,
    shapes={"shared 0": (8, 8), "shared 1": (8, 8)},
    names={"shared 0": "tile of a", "shared 1": "tile of b"},
    steps=["fetch", "multiply", "fetch", "multiply", "store"],
    title="Tiles: fetch together, wait, multiply, wait",
)

# %% [markdown]
# Between fetching and multiplying stands a *barrier*, `cuda.syncthreads()`: nobody goes on before all have come. **Predict:**
# each thread puts a number into shared memory and takes that of another thread. What does it find without the barrier?


# %%
@kernel(threads=16)
def turned_round(x: Floats, y: Floats, wait: Flag):
    tile = cuda.shared.array(16, np.float32)
    i = cuda.threadIdx.x
    tile[i] = x[i]
    if wait:
        cuda.syncthreads()
    y[i] = tile[15 - i]


x, y = np.arange(16, dtype=np.float32), np.zeros(16, np.float32)
for wait in (True, False):
    turned_round(1, 16, x, y, wait)
    print("with a barrier:" if wait else "without:       ", y)

# %% [markdown]
# `nan` is what the simulated card puts into memory that nobody has written yet. On a real card it goes well, most of the
# time, which is worse.
#
# ## What it brings
#
# The same model, the same steps, on two rows of the kernel table:

# %%
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer

ids = np.random.default_rng(0).integers(0, 65, 4000)
config = GPTConfig(vocab_size=65, block_size=64, n_layer=2, n_head=4, n_embd=64)
step, losses = {}, {}
for row in ("numpy", "cpu"):
    settings = TrainConfig(steps=6, batch_size=8, backend=row, workers=1, progress=False)
    trainer = Trainer(GPT(config, seed=0), mg.data.TokenData(ids), settings)
    losses[row] = [trainer.step() for _ in range(3)]
    step[row] = seconds(trainer.step)
    print(f"{row:<6} {step[row] * 1e3:6.1f} ms a step; losses {np.round(losses[row], 5)}")
print(f"{step['numpy'] / step['cpu']:.1f} times as fast, the same losses:", end=" ")
print(np.allclose(losses["numpy"], losses["cpu"], rtol=1e-5))

# %% [markdown]
# **Try this:**
#
# - In "Climb the ladder" take $n = 100$ and $n = 512$. Which rung gains, which loses?
# - Make $T$ four times as long in "Attention, fused". What happens to the bytes of the two ways? (A factor each.)
# - `layernorm_accesses("layernorm_v1", 8, C=31)`: the rows no longer begin at multiples of a sector. What does it cost?
# - Take `matmul_shared(4)`. How often is each number of `a` fetched now?
# - `python -m minigpt bench kernels --kernel gelu` in a terminal, and read `kernels/README.md`: also what did *not* help.
#
# Exercises: `python -m minigpt.classroom start ex_numba_softmax`, `ex_tiled_matmul`.

# %% [markdown]
# ## In your own words
#
# 1. Why can two loops with the same multiplications differ in speed by a factor of ten or more?
# 2. What does the roofline tell you before you write a faster kernel?
# 3. What does fused attention not keep, and how can it go backward all the same?
