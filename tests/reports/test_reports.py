"""report(): every family's page has its views, their numbers are the model's, and the model is left as it was."""

import re
import warnings

import numpy as np
import pytest
from tiny_models import TEXT, char_tokenizer, make

from minigpt import report
from minigpt.errors import ArgumentError, ShapeError, TokenizerError
from minigpt.inspect import head_scores
from minigpt.inspect.capture import attention_weights
from minigpt.models import GPT, EncoderDecoder, EncoderDecoderConfig, GPTConfig
from minigpt.nn import Linear
from minigpt.reports.assembly import SUBJECTS, view_names
from minigpt.tokenizers import BPETokenizer

PROMPT = "the cat sat"
VIEWS = {
    "gpt": "surprise next-token explanation attention-grid head-view attention-steps neurons rollout head-scores "
    "logit-lens attribution ablation embeddings positions layer-statistics histograms",
    "encoder-decoder": "answer surprise cross-attention cross-lines encoder-attention decoder-attention embeddings "
    "layer-statistics histograms",
    "masked": "blanks surprise attention-grid head-view rollout head-scores embeddings positions layer-statistics "
    "histograms",
    "classifier": "classes influence attention-grid head-view rollout embeddings positions histograms",
    "gpt-classifier": "classes influence attention-grid head-view rollout embeddings positions histograms",
    "token-classifier": "classes attention-grid head-view rollout embeddings positions histograms",
    "lstm": "surprise next-token states gates influence embeddings histograms",
    "gru": "surprise next-token states gates influence embeddings histograms",
    "rnn": "surprise next-token states influence embeddings histograms",
    "seq2seq": "answer surprise cross-attention cross-lines encoder-states decoder-states gates embeddings histograms",
}
LEFT_OUT = {"token-classifier": ["influence"], "rnn": ["gates"]}


def test_every_family_has_its_views_and_is_left_as_it_was(family, model):
    model.train()
    first = next(iter(model.parameters()))
    first.grad = np.ones(first.shape, np.float32)
    before = {name: p.numpy().copy() for name, p in model.named_parameters()}
    page = report(model, None, PROMPT)
    names = [section.words.name for section in page.sections]
    assert names == VIEWS[family].split()
    assert list(page.left_out) == LEFT_OUT.get(family, [])
    assert view_names(model) == [n for n in view_names(model) if n in (*names, *page.left_out)]
    assert page.facts["parameters"] == f"{sum(p.size for p in model.parameters()):,}"
    assert page.texts[0][1] == list(PROMPT)
    assert all(module.training for _, module in model.named_modules())
    assert (first.grad == 1).all()
    assert [p.grad is None for p in model.parameters()] == [False] + [True] * (len(before) - 1)
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(p.numpy(), before[name])


def test_words_of_all_views_are_whole_and_lead_to_views_that_exist():
    """Links to views that this family, or this prompt, does not have are dropped by the page."""
    known = {function.words.name for family in VIEWS for function in type_of(family)}
    for family in VIEWS:
        functions = type_of(family)
        names = [function.words.name for function in functions]
        assert len(set(names)) == len(names)
        for function in functions:
            words = function.words
            assert words.heading.endswith("?"), words.name
            for text in (words.what, words.how):
                assert text.endswith("."), words.name
                assert 40 < len(text) < 330, words.name
                assert "  " not in text
            assert set(words.see) <= known - {words.name}, words.name
            assert words.see, words.name


def type_of(family):
    model = make(family)
    return next(subject for kind, subject in SUBJECTS.items() if isinstance(model, kind)).views_of(model)


# --- numbers --------------------------------------------------------------------------------------------------------


def log_probabilities(logits):
    logits = logits.astype(np.float64)
    return (
        logits
        - logits.max(-1, keepdims=True)
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
    )


def test_numbers_of_a_gpt():
    model = make("gpt")
    ids = np.array(model.tokenizer.encode(PROMPT))
    page = report(model, None, PROMPT)
    logits, loss = model(ids[None, :-1], ids[None, 1:])
    log_p = log_probabilities(logits.numpy()[0])
    surprise = page.view("surprise")
    np.testing.assert_allclose(surprise.scores["surprise, nats"], -log_p[np.arange(len(ids) - 1), ids[1:]], rtol=1e-5)
    np.testing.assert_allclose(surprise.scores["surprise, nats"].mean(), loss.item(), rtol=1e-5)
    np.testing.assert_array_equal(page.view("attention-grid").weights, attention_weights(model, ids))
    assert page.view("ablation").baseline == pytest.approx(loss.item(), rel=1e-6)
    ordinary = range(model.tokenizer.vocab_size - 3)
    found = head_scores(model, tokens=np.array(ordinary))
    np.testing.assert_allclose(page.view("head-scores").scores["induction"][0], found.induction)
    final = log_probabilities(model(ids[None])[0].numpy()[0])
    order = np.argsort(-final[-1])
    lens = page.view("logit-lens")
    np.testing.assert_allclose(lens.probabilities[-1], -np.sort(-np.exp(final), axis=-1)[:, :5], rtol=1e-4)
    assert lens.candidates[-1][-1][0] == model.tokenizer.decode([order[0]])
    assert lens.targets == [*PROMPT[1:], None]
    maps = page.view("attribution").values
    lead = final[-1, order[0]] - final[-1, order[1]]
    others = re.findall(r" ([+−]\d+\.\d+)", page.view("attribution").note)
    rest = sum(float(number.replace("−", "-")) for number in others)
    assert maps["heads"].sum() + maps["MLPs"].sum() + rest == pytest.approx(lead, abs=0.04)
    statistics = page.view("layer-statistics").values["GPT"]
    assert [len(statistics[name]) for name in ("activation", "gradient", "weight gradient")] == [3, 3, 2]
    stream = model.wte.weight.numpy()[ids[:-1]] + model.wpe.weight.numpy()[: len(ids) - 1]
    assert statistics["activation"][0] == pytest.approx(np.sqrt((stream**2).mean()), rel=1e-5)


@pytest.mark.parametrize("family", ["encoder-decoder", "seq2seq"])
@pytest.mark.parametrize("target", [None, "on the mat"])
def test_numbers_of_an_encoder_decoder(family, target):
    model = make(family)
    tok, config = model.tokenizer, model.config
    page = report(model, None, PROMPT, target=target)
    src = np.array(tok.encode(PROMPT))
    if target is None:
        ids = model.generate(src[None], page.view("surprise").scores["surprise, nats"].size)[0]
    else:
        ids = np.array([*tok.encode(target), config.end_id])
    tgt = np.array([config.start_id, *ids[:-1]])
    logits, loss = model(src[None], tgt[None], ids[None])
    log_p = log_probabilities(logits.numpy()[0])
    cost = page.view("surprise").scores["surprise, nats"]
    np.testing.assert_allclose(cost, -log_p[np.arange(len(ids)), ids], rtol=1e-4)
    assert cost.mean() == pytest.approx(loss.item(), rel=1e-5)
    answer = page.view("answer")
    np.testing.assert_array_equal(np.take_along_axis(answer.ids, answer.drawn[:, None], 1)[:, 0], ids)
    if target is None:
        assert (answer.drawn == 0).all()
    cross = page.view("cross-attention")
    assert cross.weights.shape == ((3, 2) if family == "encoder-decoder" else (1, 1)) + (len(ids), len(src))
    assert cross.tokens == [tok.decode([i]) for i in tgt]
    assert cross.keys == list(PROMPT)
    module = model.decoder[0].cross if family == "encoder-decoder" else model.attention
    with_weights = []

    class Watch:
        wants_parts = True

        def around_module(self, other, args, kwargs, proceed):
            if other is module:
                with_weights.append(module.forward(*args, **{**kwargs, "return_weights": True})[1].numpy()[0])
            return proceed()

    from minigpt import observing

    with observing(Watch()):
        model(src[None], tgt[None])
    np.testing.assert_allclose(cross.weights[0], with_weights[0], atol=1e-6)
    if family == "encoder-decoder":
        assert page.view("encoder-attention").causal is False
        assert page.view("decoder-attention").causal is True
        assert set(page.view("layer-statistics").names) == {"encoder", "decoder"}


def test_numbers_of_a_masked_model():
    model = make("masked")
    tok = model.tokenizer
    page = report(model, None, "the c___ sat ___n")
    filled = model.fill("the c___ sat ___n", k=5)
    blanks = page.view("blanks")
    assert blanks.tokens == ["<mask>", "<mask>"]
    assert [cell for cell in blanks.candidates[-1]] == [[c.token for c in cell] for cell in filled]
    np.testing.assert_allclose(blanks.probabilities[-1], [[c.probability for c in cell] for cell in filled], rtol=1e-5)
    assert set(page.left_out) == {"surprise", "layer-statistics"}

    whole = report(model, None, PROMPT)  # each token is a blank in turn
    costs = []
    for k, token in enumerate(PROMPT):
        (found,) = model.fill(PROMPT[:k] + "___" + PROMPT[k + 1 :], k=tok.vocab_size - 3)
        costs.append(-np.log(next(c.probability for c in found if c.token == token)))
    np.testing.assert_allclose(whole.view("surprise").scores["surprise, nats"], costs, rtol=1e-4)
    assert whole.view("blanks").targets == list(PROMPT)


def test_numbers_of_classifiers():
    model = make("classifier")
    page = report(model, None, PROMPT)
    found = model.predict([PROMPT])
    p = page.view("classes").values["probability"]  # (K, L + 1)
    np.testing.assert_allclose(p[:, -1], found.probabilities[0], rtol=1e-5)
    assert page.view("classes").title.startswith(f"Answer: {found.labels[0]}, probability {p[:, -1].max():.3f}")
    answer = int(found.probabilities[0].argmax())
    scores = page.view("influence").scores["occlusion, nats"]
    ids = np.array(model.tokenizer.encode(PROMPT))
    table = model.encoder.wte.weight
    spare = model.tokenizer.special_tokens["<start>"]  # its row becomes the mean: what occlusion puts in
    table.data[spare] = np.delete(table.data, spare, axis=0).mean(axis=0)
    again = report(model, None, PROMPT, views="influence").view("influence").scores["occlusion, nats"]
    without = np.repeat(ids[None], len(ids), axis=0)
    np.fill_diagonal(without, spare)
    drop = np.log(model.predict(ids[None]).probabilities[0, answer]) - np.log(
        model.predict(without).probabilities[:, answer]
    )
    np.testing.assert_allclose(again, drop, atol=1e-5)
    np.testing.assert_allclose(again, scores, atol=1e-2)

    gpt = make("gpt-classifier")
    p = report(gpt, None, PROMPT).view("classes").values["probability"]
    np.testing.assert_allclose(np.log(p[:, -1]), log_probabilities(gpt(ids[None]).numpy()[0]), rtol=1e-4)
    token = make("token-classifier")
    p = report(token, None, PROMPT).view("classes").values["probability"]  # (K, T)
    np.testing.assert_allclose(np.log(p.T), log_probabilities(token(ids[None]).numpy()[0]), rtol=1e-4)


def test_numbers_of_a_recurrent_model():
    model = make("lstm")
    page = report(model, None, PROMPT)
    ids = np.array(model.tokenizer.encode(PROMPT))
    _, (h, _) = model.read(ids[None])
    states = page.view("states").values
    assert list(states) == ["layer 0", "layer 1"]
    for layer in (0, 1):
        np.testing.assert_allclose(states[f"layer {layer}"][:, -1], h.numpy()[layer, 0], rtol=1e-5)
    gates = page.view("gates").values
    assert list(gates) == ["input gate", "forget gate", "output gate"]
    assert gates["forget gate"].shape == (2, len(ids))
    slope = page.view("influence").scores["slope, nats per unit"]
    target = page.view("influence")
    assert (slope >= 0).all()
    assert target.title.startswith("Why ")


# --- what is chosen, and what does not fit ---------------------------------------------------------------------------


def test_layers_tokens_and_views_are_chosen():
    model = make("gpt")
    page = report(model, None, TEXT, views=["rollout", "attention-grid"], layers=[1], max_tokens=5)
    assert [section.words.name for section in page.sections] == ["rollout", "attention-grid"]
    grid = page.view("attention-grid")
    assert grid.weights.shape == (1, 2, 5, 5)
    assert grid.layers == [1]
    assert len(page.view("rollout").raw) == 2  # rollout has no meaning without all of them
    assert page.facts["prompt"] == f"5 tokens, the first of {len(TEXT)}"
    with pytest.raises(ArgumentError, match=r"no view 'surprise' in this report; there are: rollout"):
        page.view("surprise")


def test_a_deep_model_shows_twelve_layers():
    model = GPT(GPTConfig(30, 8, n_layer=14, n_head=1, n_embd=4), seed=0)
    model.tokenizer = char_tokenizer()
    grid = report(model, None, "the", views="attention-grid").view("attention-grid")
    assert len(grid.layers) == 12
    assert (grid.layers[0], grid.layers[-1]) == (0, 13)


def test_a_single_token_and_a_full_context():
    """One token: no loss, nothing was predicted. As many as the context holds: one more is predicted, no warning."""
    model = make("gpt")
    page = report(model, None, "t")
    assert set(page.left_out) == {"surprise", "ablation", "layer-statistics"}
    assert "single token" in page.left_out["surprise"]
    full = (TEXT * 2)[: model.config.block_size]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(report(model, None, full, views="next-token").view("next-token").drawn) == 1
    with pytest.raises(ArgumentError, match="nothing to show of this prompt: surprise: the prompt is a single token"):
        report(model, None, "t", views="surprise")


def test_a_cut_inside_a_character_leaves_out_what_needs_the_text():
    tok = BPETokenizer.train("你好你好", vocab_size=256)
    model = GPT(GPTConfig(256, 16, **{"n_layer": 1, "n_head": 1, "n_embd": 8}), seed=0)
    model.tokenizer = tok
    page = report(model, None, "你好", max_tokens=4)
    assert set(page.left_out) == {"next-token", "explanation"}
    assert page.texts[0][1][0] == "bytes:\\xe4"


def test_a_broken_model_still_has_other_views():
    model = make("gpt")
    model.h[1].mlp.c_fc.weight.data[0, 0] = np.nan
    with np.errstate(invalid="ignore"):
        page = report(model, None, PROMPT, views=["embeddings", "attention-grid", "logit-lens"])
    assert "nan" in page.left_out["logit-lens"].lower()
    assert page.view("embeddings").points.shape[1] == 2


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"prompt": ""}, ArgumentError, "the prompt is empty"),
        ({"prompt": "Q"}, TokenizerError, "Q"),
        ({"prompt": TEXT * 2}, ShapeError, f"has {2 * len(TEXT)} tokens, but this model reads at most block_size = 24"),
        ({"prompt": [[1, 2]]}, ShapeError, "one prompt"),
        ({"views": ["attention_grid"]}, ArgumentError, "no view 'attention_grid' of a GPT; nearest: attention-grid"),
        ({"views": []}, ArgumentError, "choose at least one view"),
        ({"layers": [2]}, ArgumentError, r"layers 0 to 1, so it cannot show \[2\]"),
        ({"max_tokens": 0}, ArgumentError, "max_tokens is at least 1"),
        ({"target": "x"}, ArgumentError, "a target belongs to an encoder–decoder"),
    ],
)
def test_refused(settings, error, message):
    with pytest.raises(error, match=message):
        report(make("gpt"), None, **{"prompt": PROMPT, **settings})


def test_refused_models_and_tables():
    with pytest.raises(ArgumentError, match="a report needs one of GPT, EncoderDecoder"):
        report(Linear(2, 2), None, "x")
    tok = char_tokenizer("<start>", "<end>")
    config = EncoderDecoderConfig(
        tok.vocab_size, 24, 1, 2, 16, tok.special_tokens["<start>"], tok.special_tokens["<end>"], src_vocab_size=40
    )
    model = EncoderDecoder(config, seed=0)
    model.tokenizer = tok
    with pytest.raises(ArgumentError, match="pass src_tokenizer="):
        report(model, None, PROMPT)
    other = char_tokenizer()
    other.add_special_tokens(["<x>"])
    page = report(model, None, "the <x>", src_tokenizer=other)
    assert page.texts[0][1] == ["t", "h", "e", " ", "<x>"]
    assert page.view("cross-attention").keys == page.texts[0][1]
    with pytest.raises(ShapeError, match="the target has 25 tokens with its end"):
        report(model, None, PROMPT, target=TEXT, src_tokenizer=other)


def test_saved_as_a_page_only(tmp_path):
    page = report(make("rnn"), None, "the", views="states", title="<i> & co")
    path = page.save(tmp_path / "page.html")
    text = path.read_text(encoding="utf-8")
    assert text == page.html
    assert "<title>&lt;i&gt; &amp; co</title>" in text
    assert "<i>" not in text
    assert page._repr_html_() in text
    with pytest.raises(ArgumentError, match=r"a report is a page: name it 'page.html'"):
        page.save(tmp_path / "page.png")
    assert repr(page) == "Report('<i> & co': states)"
