# ---
# title: LoRA: tune a model by two thin matrices
# level: 2
# minutes: 45
# points: 9
# notebook: 17_finetuning_chat
# ---

# %% [markdown]
# To tune a trained model on new text, one need not change its matrices. LoRA (Hu et al. 2021) leaves a matrix W
# (in, out) as it is, and learns a correction, the product of two thin matrices:
#
# ```text
# y = x @ W + bias + s (x @ A) @ B        A (in, rank)    B (rank, out)    s = alpha / rank
# ```
#
# For W of 128 x 384 and rank 4 that is 4 * (128 + 384) = 2,048 numbers that learn instead of 49,152: so much less
# memory for gradients and the optimizer's moments, and a file so much smaller for each thing the model was tuned for.
#
# A small example with in = out = 2, rank 1, alpha 3 and no bias; s = 3 / 1:
#
# ```text
# x = (1, 2)    W = 1 0    A = 1    B = (0.5, 0)      x @ W = (1, 2)      x @ A = 3      y = (1, 2) + 3 * 3 * (0.5, 0)
#                   0 1        1                                                           = (5.5, 2)
# ```
#
# Write `LoRA`, a module around an `nn.Linear`:
#
# - `LoRA(base, rank, alpha, rng)` keeps the base, freezes all its parameters (`requires_grad = False`), and makes the
#   `nn.Parameter`s `lora_a`, random in ±1 / sqrt(in) from `rng`, and `lora_b`, zeros, of the base's dtype. At first the
#   output is then that of the base. Why must not both be zero?
# - `forward(x)` is the formula above.
# - `merge()` puts the correction into the base's matrix: W becomes W + s A @ B, and forward costs no more than the
#   base's. The outputs stay the same, also if `merge()` is called twice.

# %% [markdown]
# <details><summary>Hint 1: the base's parameters</summary>
#
# `base.weight` is (in, out), `base.bias` may be None, `base.parameters()` gives what there is, and `base(x)` is
# x @ W + bias.
# </details>
#
# <details><summary>Hint 2: what learns</summary>
#
# A Module finds the `nn.Parameter`s among its attributes by itself: `self.lora_a = nn.Parameter(array)`. Those whose
# `requires_grad` is False get no gradient.
# </details>
#
# <details><summary>Hint 3: merging</summary>
#
# Arrays, not Tensors: `self.base.weight.data = W + …` with `self.lora_a.numpy()`. Keep in an attribute that it is done;
# forward and a second `merge()` have to know.
# </details>
#
# <details><summary>Hint 4: float32</summary>
#
# `rng.uniform` gives float64: `.astype(base.weight.dtype)`. A Python number like alpha / rank does no harm.
# </details>

# %%
import numpy as np

import minigpt as mg
from minigpt import nn


# %% nbgrader={"solution": true, "grade_id": "lora"}
class LoRA(nn.Module):
    """y = x @ W + bias + alpha / rank * (x @ A) @ B; W and bias are those of the base, which is frozen"""

    def __init__(self, base, rank, alpha, rng):
        ### BEGIN SOLUTION: freeze the base, and make lora_a (in, rank) random and lora_b (rank, out) zero
        self.base, self.scale, self.merged = base, alpha / rank, False
        for p in base.parameters():
            p.requires_grad = False
        n_in, n_out = base.weight.shape
        a = rng.uniform(-1, 1, size=(n_in, rank)) / n_in**0.5  # (in, rank)
        self.lora_a = nn.Parameter(a.astype(base.weight.dtype))
        self.lora_b = nn.Parameter(np.zeros((rank, n_out), base.weight.dtype))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION: the base's output, and unless merged the scaled correction
        y = self.base(x)  # (..., out)
        if self.merged:
            return y
        return y + (x @ self.lora_a) @ self.lora_b * self.scale  # (..., out)
        ### END SOLUTION

    def merge(self):
        ### BEGIN SOLUTION: put the correction into the base's matrix, once
        if not self.merged:
            self.base.weight.data = self.base.weight.numpy() + self.lora_a.numpy() @ self.lora_b.numpy() * self.scale
            self.merged = True
        ### END SOLUTION


# %% [markdown]
# Try it: a layer that has learned one thing is tuned to another; only A and B move.

# %%
rng = np.random.default_rng(0)
layer = LoRA(nn.Linear(16, 16, rng=0), rank=2, alpha=4, rng=rng)
print("parameters that learn:", sum(p.size for p in layer.parameters() if p.requires_grad), "of 16 * 16 + 16")
x = mg.Tensor(rng.normal(size=(64, 16)).astype(np.float32))
wanted = (layer.base(x) + x @ (0.1 * rng.normal(size=(16, 1)) @ rng.normal(size=(1, 16)))).numpy()
optimizer = mg.optim.Adam([p for p in layer.parameters() if p.requires_grad], lr=0.01)
for step in range(201):
    loss = ((layer(x) - wanted) ** 2).mean()
    if step % 100 == 0:
        print(f"step {step:3}  loss {loss.item():.4f}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
before = layer(x).numpy()
layer.merge()
print(f"merged: the output moves by at most {abs(layer(x).numpy() - before).max():.0e}")

# %% nbgrader={"grade": true, "grade_id": "lora-check"}
mg.classroom.check("lora", LoRA)
### BEGIN HIDDEN TESTS
mg.classroom.check("lora", LoRA, seed=20)
### END HIDDEN TESTS
