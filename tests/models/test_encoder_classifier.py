"""EncoderClassifier: pooling over tokens alone, class weights, predictions, a pre-trained start."""

from dataclasses import replace

import numpy as np
import pytest

from minigpt.errors import ArgumentError, ConfigError, ShapeError, TokenizerError
from minigpt.models import ClassifierConfig, EncoderClassifier, EncoderConfig, MaskedLM
from minigpt.models.encoder_classifier import padded
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer

CONFIG = ClassifierConfig(13, 8, n_layer=2, n_head=2, n_embd=8, pad_id=12, classes=("no", "yes", "maybe"))


def spread(model, seed=0):
    rng = np.random.default_rng(seed)
    for p in model.parameters():
        p.data += rng.normal(size=p.shape).astype(p.dtype) * 0.3
    return model


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_padding_changes_nothing(pooling, rng):
    model = spread(EncoderClassifier(replace(CONFIG, pooling=pooling)))
    rows = [rng.integers(0, 12, n).tolist() for n in (8, 1, 5)]
    ids, mask = padded(rows, pad_id=3)
    logits = model(ids, mask=mask)[0].numpy()
    for row, together in zip(rows, logits, strict=True):
        np.testing.assert_allclose(model(np.array([row]))[0].numpy()[0], together, atol=1e-5)
    assert logits.shape == (3, 3)
    assert np.abs(logits - logits[0]).max() > 1e-2


def test_pooling_reads_what_it_says(rng):
    ids = rng.integers(0, 12, (2, 5))
    model = spread(EncoderClassifier(CONFIG))
    hidden = model.encoder(ids).numpy()
    weight, bias = model.head.weight.numpy(), model.head.bias.numpy()
    np.testing.assert_allclose(model(ids)[0].numpy(), hidden.mean(axis=1) @ weight + bias, atol=1e-5)
    first = EncoderClassifier(replace(CONFIG, pooling="first"))
    first.load_state_dict(model.state_dict())
    np.testing.assert_allclose(first(ids)[0].numpy(), hidden[:, 0] @ weight + bias, atol=1e-5)
    with pytest.raises(ShapeError, match="pad on the right"):
        first(ids, mask=np.arange(5) > np.array([[0], [-1]]))


def test_class_weights(rng):
    ids, labels = rng.integers(0, 12, (6, 5)), np.array([0, 1, 2, 2, 1, 1])
    plain = spread(EncoderClassifier(CONFIG))
    weighted = spread(EncoderClassifier(replace(CONFIG, class_weights=(1.0, 3.0, 0.5))))
    single = [plain.loss_sum(ids[i : i + 1], labels[i : i + 1])[0].item() for i in range(6)]
    total, count = plain.loss_sum(ids, labels)
    assert count == 6
    assert total.item() == pytest.approx(sum(single), rel=1e-5)
    w = np.array([1, 3, 0.5, 0.5, 3, 3])
    total, count = weighted.loss_sum(ids, labels)
    assert count == w.sum()
    assert total.item() == pytest.approx((w * single).sum(), rel=1e-5)
    assert weighted(ids, labels)[1].item() == pytest.approx((w * single).sum() / w.sum(), rel=1e-5)


def test_predict(rng):
    tok = CharTokenizer.train("abcdefghijkl")
    model = spread(EncoderClassifier(CONFIG))
    texts = ["abc", "l", "abcdefghijkl"]
    with pytest.raises(TokenizerError):
        model.predict(texts)
    model.tokenizer = tok
    labels, p = model.predict(texts)
    assert p.shape == (3, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert labels == [CONFIG.classes[i] for i in p.argmax(axis=1)]
    for text, row in zip(texts, p, strict=True):
        np.testing.assert_allclose(model.predict([text[:8]]).probabilities[0], row, atol=1e-6)  # cut to block_size
    ids, mask = padded([tok.encode(text[:8]) for text in texts])
    np.testing.assert_allclose(model.predict(ids, mask=mask).probabilities, p)
    assert model.training
    for bad, message in ((["a", ""], "text 1 is empty"), ("abc", "a list of texts")):
        with pytest.raises(ArgumentError, match=message):
            model.predict(bad)


def test_from_masked_lm():
    tok = CharTokenizer.train("abcdefghijkl", special_tokens=["<mask>"])
    numbers = {k: v for k, v in CONFIG.to_dict().items() if k not in ("classes", "pooling", "class_weights")}
    lm = spread(MaskedLM(EncoderConfig(**{**numbers, "pad_id": None, "mask_id": 12}), seed=3))
    lm.tokenizer = tok
    model = EncoderClassifier.from_masked_lm(lm, ["a", "b"], pooling="first", class_weights=[1, 2])
    assert model.config.classes == ("a", "b")
    assert model.config.class_weights == (1.0, 2.0)
    assert model.config.mask_id == 12
    assert model.tokenizer is tok
    ids = np.array([[1, 2, 3]])
    assert np.array_equal(model.encoder(ids).numpy(), lm.encoder(ids).numpy())
    model.encoder.wte.weight.data[:] = 0  # a copy: the other is as it was
    assert lm.encoder.wte.weight.data.any()
    with pytest.raises(ArgumentError, match="needs a MaskedLM, got EncoderClassifier"):
        EncoderClassifier.from_masked_lm(model, ["a", "b"])


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_it_learns_the_order_of_words(pooling):
    """Whether 1 stands before 2 somewhere among noise: no bag of words can tell."""

    class Order:
        def batch(self, rng, n):
            ids = rng.integers(3, 9, (n, 6))
            places = np.sort(rng.permuted(np.tile(np.arange(1, 6), (n, 1)), axis=1)[:, :2], axis=1)
            labels = rng.integers(0, 2, n)
            ids[np.arange(n), places[:, 0]] = 1 + labels
            ids[np.arange(n), places[:, 1]] = 2 - labels
            ids[:, 0] = 0
            return {"ids": ids, "labels": labels}

    model = EncoderClassifier(replace(CONFIG, classes=("12", "21"), pooling=pooling, n_embd=32), seed=0)
    config = TrainConfig(steps=300, batch_size=48, lr=5e-3, warmup=20, progress=False, workers=2, backend="numpy")
    Trainer(model, Order(), config).fit()
    test = Order().batch(np.random.default_rng(99), 200)
    labels = np.array([int(name == "21") for name in model.predict(test["ids"]).labels])
    assert (labels == test["labels"]).mean() > 0.95


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a",)}, "at least two different names"),
        ({"classes": "ab"}, "at least two different names"),
        ({"classes": ("a", "a")}, "at least two different names"),
        ({"pooling": "max"}, "mean, first"),
        ({"class_weights": (1.0, 2.0)}, "a number above 0 for each of 3 classes"),
        ({"class_weights": (1.0, 2.0, 0.0)}, "a number above 0"),
    ],
)
def test_bad_config(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **changes)


@pytest.mark.parametrize("labels", [[0, 3], [-100, 1], [0.0, 1.0]])
def test_bad_labels(labels):
    with pytest.raises(ArgumentError, match=r"class numbers, 0 … 2"):
        EncoderClassifier(CONFIG).loss_sum(np.ones((2, 3), int), np.array(labels))
    with pytest.raises(ShapeError, match=r"labels must be \(B,\) = \(2,\)"):
        EncoderClassifier(CONFIG).loss_sum(np.ones((2, 3), int), np.zeros((2, 1), int))


def test_parameters():
    assert EncoderClassifier(CONFIG).num_parameters() == CONFIG.n_parameters()
