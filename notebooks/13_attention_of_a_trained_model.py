# ---
# jupyter:
#   minigpt:
#     training: true
# ---

# %% [markdown]
# # Attention of a trained model: what is each head doing?
#
# **Aim** Open a trained model and find out how it does what it does: look at its attention from all sides, give each head
# a score, take heads out, move activations from one text to another, let it answer before it is finished. And learn when
# to believe a picture of attention, and when not.
#
# **Time** 60 minutes
#
# **Prerequisites** [06 Multi-head](06_multi_head.ipynb), [08 GPT](08_gpt.ipynb)

# %%
try:
    import minigpt as mg
except ImportError:  # not installed yet, as in Colab
    # %pip install -q ..
    import minigpt as mg

import tempfile

import matplotlib.pyplot as plt
import numpy as np

from minigpt import inspect, viz
from minigpt.bench.induction import Pieces, new_model
from minigpt.training import TrainConfig, Trainer

# %% [markdown]
# ## A model that can do one thing
#
# Models of real text do a thousand things at once, and the first look at their attention is a wall of grey. So we begin
# with a model that learned a single thing, which large models can do too. It comes with the library: three layers of *one*
# head each, trained on letters drawn at random, in which pieces come again. What comes next cannot be known, except where
# the text repeats itself.
#
# **Predict:** how does it go on after `minGPtReadmin`?

# %%
model = inspect.induction_model()
tok = model.tokenizer
print(model.config.n_layer, "layers,", model.config.n_head, "head each,", end=" ")
print(f"{model.num_parameters():,} parameters, {tok.vocab_size} characters")
for start in ["minGPtReadmin", "k7QfbxZ2mPk7Q", "HELOWrdHELOWr"]:
    print(start, "->", mg.generate(model, tok, start, max_new_tokens=5, temperature=0)[0])

# %% [markdown]
# It has never seen these words. It found, *in the text before it*, what came after the same letter the last time. This is
# *in-context learning* in its smallest form, and the question of this notebook is: by which parts, and how do we know?
#
# How surprised is it by each letter? ([03](03_softmax_cross_entropy.ipynb): $-\log p$ of what came.) **Predict** where
# the colour ends:

# %%
text = "minGPtRead" * 2
ids = np.array(tok.encode(text))  # (T,)


def surprises(ids):
    with model.evaluating():
        logits = model(ids[..., :-1])[0]  # (..., T - 1, V)
    return mg.functional.cross_entropy(logits, ids[..., 1:], reduction="none").numpy()


surprise = surprises(ids[None])[0]  # (T - 1,)
viz.TokenScores(list(text[1:]), {"surprise, nats": surprise}, title="How surprising?")

# %% [markdown]
# <details><summary>What to see</summary>
#
# The first time, every letter is a surprise, and an even larger one than for somebody who guesses blindly, $\ln 62$ nats:
# places that nobody could know did not count in its training, so it never learned to be modest there. The first
# letter of the repetition cannot be known either. From the second one on there is next to no surprise left.
# </details>
#
# ## The map of every head
#
# One call gives the weights of all heads, `(layers, heads, T, T)`. **Predict:** the model has just read the second `G` and
# says `P`. At which place must some head have looked, seen from the `G`?

# %% tags=["picture"]
weights = inspect.attention_weights(model, ids)  # (L, H, T, T)
print("shape", weights.shape)
viz.AttentionGrid(weights, list(text), title="minGPtRead, twice")

# %% [markdown]
# <details><summary>What to see</summary>
#
# - **Layer 0** has a line right below the diagonal: each token looks at the one before it.
# - **Layer 1** has a line that begins with the repetition: the second `G` looks at the first `P`, the place *after* the
#   first `G`. There stands the answer.
# - **Layer 2** looks here and there, mostly at the token itself.
#
# Above each map stands its *entropy* in nats: the smaller, the more the head looks at one place alone.
# </details>
#
# The same as lines, for the layer that matters. Run the cell, and point at a token:

# %%
viz.HeadView(weights, list(text), layer=1, title="Layer 1: who looks where")

# %% [markdown]
# All of them are parallel: every token of the repetition looks just as far back. In words:

# %%
for i in range(10, 15):
    seen = [weights[layer, 0, i].argmax() for layer in range(3)]
    told = ", ".join(f"layer {layer}: {text[j]} at {j:>2}" for layer, j in enumerate(seen))
    print(f"place {i} is {text[i]}, the next {text[i + 1]};  it looks at  {told}")

# %% [markdown]
# ## A score instead of an impression
#
# A head that looks at the token after an earlier copy of the present one is called an *induction head*. To find such heads
# among hundreds, one needs a number. It is simple: the share of attention that goes where the habit would send it, on
# random tokens that come twice, so that nothing else in the text is worth looking at.

# %%
i = np.arange(10, 20)  # the repetition
by_hand = weights[1, 0, i, i - 9].mean()  # 10 back is the same letter, 9 back what came after it
found = inspect.scores_of(weights, ids)
print(f"layer 1: {by_hand:.4f} by hand, {found.induction[1, 0]:.4f} from the library")

# %%
scores = inspect.head_scores(model)  # on random tokens, 32 and the same 32 again
print(scores.table())
viz.HeadScores({"previous token": scores.previous_token, "induction": scores.induction})

# %% [markdown]
# Layer 0 gets less for "previous token" than its clear line above made us expect. Does it do so at every place? **Predict**
# the curve before you look: its weight on the token before, along 64 places.

# %%
twice = inspect.repeated_tokens(62, 32, rows=64, seed=1)  # (64, 64): 32 letters, and again
with model.evaluating(), inspect.capture(model, "h.0.attn.weights") as acts:
    model(twice)
i = np.arange(1, 64)
_, ax = plt.subplots(figsize=(6, 2.4))
ax.plot(i, acts["h.0.attn.weights"][:, 0, i, i - 1].mean(axis=0))
ax.set(xlabel="place", ylabel="weight on the token before", ylim=(0, 1))
plt.show()

# %% [markdown]
# <details><summary>What to see</summary>
#
# Not a weak habit, but one that *ends*, at about the fortieth place. A guess at the reason: in its training the repeated
# texts were short, so that by then every letter had its first copy behind it, and what later places wrote about their
# predecessors was of no use for anybody. A single number per head hides such things; look at the map too.
# </details>
#
# ## Why at that place? One score taken apart
#
# A weight comes from a score, a score is $q \cdot k / \sqrt{D}$, and that is a sum over channels. Here is the one with
# which the second `G` (place 13) scores the first `P` (place 4):

# %%
inspect.neuron_view(model, tok, text, layer=1, head=0, i=13, j=4)

# %% [markdown]
# There is no single channel that "knows" it; many small products have the same sign. That is normal, and one reason why
# we ask for *causes* next instead of staring at channels.
#
# ## Take it out
#
# `ablate` replaces what a head puts out by its average. **Predict:** the share of letters copied rightly without each of
# the three heads.


# %%
def copied():
    with model.evaluating():
        logits = model(twice[:, :-1])[0].numpy()  # (64, 63, V)
    return (logits[:, 32:].argmax(axis=-1) == twice[:, 33:]).mean()


print(f"whole model           {copied():.1%}")
for layer in range(3):
    with inspect.ablate(model, heads=[(layer, 0)], how="mean", reference=twice):
        print(f"without layer {layer}'s head {copied():.1%}")

# %% [markdown]
# The one of layer 1 was to be expected, and that layer 2 may go, too. But why is *layer 0* needed, if layer 1 does the
# copying? Look again at what layer 1 has to find. The second `G` looks for a place *whose predecessor* is a `G`. The first
# `P` has nothing of a `G` in it. Unless somebody wrote it there before:

# %%
for out in [{}, {"heads": [(0, 0)]}, {"heads": [(2, 0)]}]:
    with inspect.ablate(model, **out, how="mean", reference=twice):
        score = inspect.head_scores(model).induction[1, 0]
    print(f"induction score of layer 1: {score:.3f}, without {out or 'nothing'}")

# %% [markdown]
# So it is a *circuit* of two heads. Layer 0 writes into each token "before me stood a …"; layer 1 looks for the token
# that says "before me stood what I am now", and copies what stands there. No single head could do it: one layer
# of attention compares tokens, but has no token that knows its predecessor. (That is a claim about models with one layer.
# At the end we train one.)
#
# Without heads one by one, and without the MLPs, as the loss of the repeated half:


# %%
def loss():
    return float(surprises(twice)[:, 32:].mean())  # nats per letter


whole, heads, mlps = loss(), np.zeros((3, 1)), np.zeros(3)
for layer in range(3):
    with inspect.ablate(model, heads=[(layer, 0)], how="mean", reference=twice):
        heads[layer, 0] = loss() - whole
    with inspect.ablate(model, mlps=[layer], how="mean", reference=twice):
        mlps[layer] = loss() - whole
viz.AblationEffect(heads, mlps, baseline=whole)

# %% [markdown]
# One MLP is missed as much as a head, that of layer 0. Everything that layer 1 compares has gone through it. (Add
# `{"mlps": [0]}` to the list above: what becomes of the induction score?)
#
# ## Patch: carry one thing from one run to another
#
# Ablation tells who is needed. Patching tells who *carries* what. Two texts that differ in one letter, and so in what
# comes next:
#
# | | text | next |
# | --- | --- | --- |
# | clean | `abcdefghabcd` | `e` |
# | corrupted | `abcdzfghabcd` | `z` |
#
# We run the corrupted text, put in the residual stream of the clean run at *one* layer and *one* place, and see whether
# the answer comes back: 1 means that it is all back, 0 that nothing is.
#
# **Predict:** after layer 0, which place matters? After layer 1?

# %%
clean, corrupted = (np.array(tok.encode(t)) for t in ("abcdefghabcd", "abcdzfghabcd"))
e, z = tok.encode("ez")


def lead(logits):  # (T, V): how much likelier e is than z at the end, nats
    return logits[-1, e] - logits[-1, z]


grid = inspect.patching_grid(model, clean, corrupted, lead)
print(f"lead of e over z: clean {grid.clean:.1f}, corrupted {grid.corrupted:.1f}")
viz.PatchingGrid(grid.restored, list("abcdzfghabcd"), metric="share of the lead restored")

# %% [markdown]
# <details><summary>What to see</summary>
#
# After layer 0 the information sits where the letter stands, place 4. After layer 1 it sits at the last place. In between
# something must have carried it over, and attention is the only thing in a GPT that carries anything from one
# place to another.
# </details>
#
# Which head was it? The same with heads in place of places:

# %%
carried = inspect.patching_grid(model, clean, corrupted, lead, what="heads")
for layer, share in enumerate(carried.restored[:, 0]):
    print(f"head of layer {layer}: {share:+.2f} of the lead restored")

# %% [markdown]
# ## Let it answer before it is finished: the logit lens
#
# All blocks add to one stream ([07](07_layernorm_residual.ipynb)). So we can take the stream after any block, and send it
# straight to the head: what would the model say if it ended here?
#
# **Predict:** after which layer does the right letter appear?

# %%
lens = inspect.logit_lens(model, ids)
best, probability = lens.top(3)  # (L + 1, T, 3) each
names = [[[tok.decode([int(c)]) for c in cell] for cell in row] for row in best]
viz.LogitLens(list(text), probability, names, layers=lens.names, targets=[*text[1:], "m"])

# %% [markdown]
# <details><summary>What to see</summary>
#
# In the right half the frames (cells that name the letter that really comes) begin with `h.1`, the induction head's
# layer. Straight from the embedding, each letter says itself: the head is the embedding table, so that is
# the letter most like it.
# </details>
#
# The same stream as a sum with names: which part adds how much to the logit of the right letter? Here to the lead of
# `P` over `R` at the second `G`. **Predict** the largest one.

# %%
P, R = tok.encode("PR")
parts = inspect.logit_attribution(model, ids, P, R, position=13)
print(parts.table())

# %% [markdown]
# The induction head brings the letter, and the MLPs after it, which see nothing but their own place, make louder what it
# brought. The head of layer 0, without which nothing works, hardly
# shows: it works through *another head*, not towards the output. No single method sees everything; this one sees only
# direct paths.
#
# ## Through all layers: rollout
#
# A place in layer 1 is not a token any more: it holds what layer 0 mixed into it. *Rollout* follows the mixing, by
# multiplying the maps of all layers, half of each for the residual connection.

# %%
rollout = inspect.attention_rollout(weights)  # (T, T)
viz.AttentionRollout(weights, rollout, list(text))

# %% [markdown]
# It is a fair summary of *where things went*. Is it a reason for the answer? Three ways to ask why the model says `t` after
# `minGPtReadminGP`, beside each other: how much surer it is with the token than without (occlusion), what the gradient
# promises, and the rollout.

# %%
why = inspect.explain(model, tok, text[:15])
why

# %%
far = [k for k in range(15) if abs(why.occlusion[k]) < 0.1]  # they do not matter to the answer
print(f"rollout gives {why.rollout[far].sum():.0%} to the {len(far)} tokens that do not matter;")
k = max(far, key=lambda k: why.rollout[k])
print(f"most to {why.tokens[k]!r} at {k}: {why.rollout[k]:.0%}, occlusion {why.occlusion[k]:+.3f}")

# %% [markdown]
# Only three letters matter: the last one, its earlier copy, and the letter after that copy, which is the answer. Rollout
# has them in front, and gives a good deal to letters that were read and of no use.
#
# ## Attention is not explanation
#
# Now a test that every claim of the form "the model answers so because it looks there" should pass. Turn a head's map
# around, so that it looks at other places altogether, with weights that are just as sharp. If the answers stay the same,
# the map was not the reason.


# %%
def turned(value, name):  # (B, H, T, T): the weights of each row, from the last key to the first
    w = value.numpy().copy()
    for i in range(w.shape[2]):
        w[:, :, i, : i + 1] = w[:, :, i, : i + 1][..., ::-1]
    return w


for layer in range(3):
    with inspect.hooked(model, {f"h.{layer}.attn.weights": turned}):
        print(f"map of layer {layer} turned around: {copied():.1%} right")

# %% [markdown]
# <details><summary>What this says</summary>
#
# For layers 0 and 1 the map is how it works. Layer 2 has a map as well, it sums to 1 and looks at something, and
# one could tell a story about it; but *any other map does just as well*. Nothing in the picture gives that away. This is
# what Jain and Wallace (2019) found with many models, in a paper called "Attention is not explanation"; the answer to it,
# "Attention is not not explanation" (Wiegreffe and Pinter 2019), is layers 0 and 1.
# </details>
#
# The second reason for caution: a map says *where* a head looks, not *what* it takes from there. **Predict:** we run a text
# of other letters, and put *all maps* of our text into it. Which text does it copy?

# %%
other = np.array(tok.encode("qvUxZ72bWk" * 2))
with model.evaluating(), inspect.capture(model, "h.*.attn.weights", copy=True) as maps:
    model(ids[None])


def said(ids):
    with model.evaluating():
        return tok.decode(model(ids[None])[0].numpy()[0, 10:].argmax(axis=-1))


print("our text:                       ", said(ids))
print("the other text:                 ", said(other))
with inspect.patch(model, maps, "h.*.attn.weights"):
    print("the other text with *our* maps: ", said(other))

# %% [markdown]
# <details><summary>What this says</summary>
#
# The maps of the two texts say the same, "look nine places back", so exchanging them changes next to nothing. All that
# differs between the answers is in what is read there, the values. A map of attention has none of that in it.
# </details>
#
# ## How it came to be
#
# Was it always there, and grew slowly? We train a smaller one, two layers and 16 letters, and give the trainer a
# `Recorder`: it writes down what chosen prompts make the model compute, at chosen steps.

# %%
letters = "abcdefghijklmnop"
prompt = "dkbfhamc" * 2
task = Pieces(len(letters), 32, texts=(6, 12), pieces=(2, 8))
recipe = TrainConfig(steps=400, batch_size=24, lr=8e-3, warmup=50, workers=1, progress=False)
young = new_model(seed=0, characters=letters, n_layer=2, block_size=32)
with tempfile.TemporaryDirectory() as folder:
    recorder = inspect.Recorder([prompt], steps=range(0, 401, 20), folder=folder)
    two_layers = Trainer(young, task, recipe, recorder).fit()["loss"]
    rec = inspect.Recording.load(folder)
    head = viz.HeadTraining.of(rec, layer=1, head=0)
    both = np.stack([rec["h.0.attn.weights"], rec["h.1.attn.weights"]], axis=1)  # (S, L, H, T, T)
print(rec)

# %% [markdown]
# **Predict:** layer 1 can only find what layer 0 wrote. Which head will be there first, and what will the loss do at that
# moment?

# %%
head

# %%
at = [inspect.scores_of(w, young.tokenizer.encode(prompt)) for w in both]  # at each recorded step
kinds = {
    "previous token": np.stack([s.previous_token for s in at]),  # (S, L, H)
    "induction": np.stack([s.induction for s in at]),
}
viz.HeadScores(kinds, steps=rec.steps, title="Two heads through training")

# %% [markdown]
# <details><summary>What to see</summary>
#
# For a long time next to nothing happens, and the loss falls a little: the model learns which letters the text has at all.
# Then, within a few dozen steps, both heads come *together*, and the loss bends down. Neither is of use without the other;
# as soon as one begins, the other one pays. In large models this happens too, early in training, and their
# loss has a visible bend there (Olsson et al. 2022).
# </details>
#
# Now the claim from above: one layer is not enough. **Predict** its curve.

# %%
single = new_model(seed=0, characters=letters, n_layer=1, block_size=32)
one_layer = Trainer(single, task, recipe).fit()["loss"]
runs = {"two layers": two_layers, "one layer": one_layer}
curves = {name: {"train": {"steps": range(1, 401), "losses": y}} for name, y in runs.items()}
viz.LossCurve(curves, unit="nats/letter", title="Is one layer enough?")

# %% [markdown]
# <details><summary>What to see</summary>
#
# The single layer learns what comes without the circuit, which letters there are in the text, and stays there. It is no
# proof that it never will; but with the other curve beside it, the bend has an explanation that we have tested.
# </details>

# %% [markdown]
# ## What to try
#
# - Your own text: change `text` (letters and digits, 64 at most). What if a letter comes twice *within* the word, as in
#   `hellohello`? Look at the layer 1 row of the `l`: two places fit.
# - Can one layer do it with more steps, or with more heads? (`n_head=4` in `new_model`)
# - `n_head=2` in `new_model`: which of the heads does what? Take them out one by one, then together. ([00](00_start_here.ipynb): there, two heads did the same work.)
# - Everything here works on your own models: `inspect.head_scores(model)` of the one that you trained in
#   [10 Training](10_training.ipynb). Does it have an induction head?
#
# **Exercise:** `python -m minigpt.classroom start ex_induction_head`

# %% [markdown]
# ## In your own words
#
# 1. An induction head needs another head, in an earlier layer. What does the earlier one write, and who reads it?
# 2. Somebody shows you a sharp attention map and says: "this is why the model answered so". Which two experiments do you
#    ask for?
# 3. Ablation, patching, the logit lens and logit attribution answer different questions. Which one found the head of
#    layer 0, which one overlooked it, and why?
