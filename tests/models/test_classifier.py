"""GPTClassifier against its formula, its weighted loss against PyTorch's definition, and its folder."""

import json

import numpy as np
import pytest
from tiny_dialogue import IDS, tiny_model

import minigpt as mg
from minigpt.data import BucketedData
from minigpt.data.rendered import Rendered
from minigpt.errors import ArgumentError, CheckpointError, ShapeError
from minigpt.models import GPTClassifier
from minigpt.models.classifier import balanced_weights
from minigpt.tokenizers import CharTokenizer
from minigpt.training import TrainConfig, Trainer

CLASSES = ["no", "yes", "maybe"]
TOKENS = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]], bool)


def classifier(**changes):
    return GPTClassifier(tiny_model(), CLASSES, **changes).astype(np.float64)


def softmax_losses(logits, targets):
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -log_p[np.arange(len(targets)), targets]


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_pooling(pooling):
    model = classifier(pooling=pooling)
    x = model.gpt.ln_f(model.gpt.hidden(IDS)).numpy()  # (2, 6, C)
    pooled = np.stack([x[0, 5], x[1, 2]] if pooling == "last" else [x[0].mean(axis=0), x[1, :3].mean(axis=0)])
    wanted = pooled @ model.head.weight.numpy() + model.head.bias.numpy()
    np.testing.assert_allclose(model(IDS, TOKENS).numpy(), wanted, rtol=1e-9)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("settings", [{"pooling": "last"}, {"pooling": "mean"}, {"level": "token"}])
def test_padding_makes_no_difference(settings, causal):
    model = classifier(causal=causal, **settings)
    alone = model(IDS[1:, :3]).numpy()
    for filler in (0, 7):
        ids = np.where(TOKENS, IDS, filler)
        np.testing.assert_allclose(model(ids, TOKENS).numpy()[1:, :3], alone, rtol=1e-9)


def test_causal_or_not():
    changed = np.concatenate([IDS[:, :-1], (IDS[:, -1:] + 1) % 11], axis=1)
    for causal in (True, False):
        model = classifier(level="token", causal=causal)
        same = np.isclose(model(IDS).numpy(), model(changed).numpy()).all(axis=-1)[:, :-1]
        assert same.all() == causal
        assert not same.any() or causal


def check_weighted_loss(kind=GPTClassifier):
    """sum of w_y · loss / sum of w_y, as the mean of PyTorch's CrossEntropyLoss(weight=w) is defined."""
    weights = np.array([0.5, 2.0, 0.0])
    model = kind(tiny_model(), CLASSES, level="token", class_weights=weights).astype(np.float64)
    targets = np.array([[0, -100, 1, 2, -100, 1], [-100, 1, 0, 0, 2, -100]])
    loss, count = model.loss_sum(IDS, targets)
    counted = targets != -100
    losses = softmax_losses(model(IDS).numpy()[counted], targets[counted])
    w = weights[targets[counted]]
    assert count == pytest.approx(w.sum())
    assert loss.item() == pytest.approx((w * losses).sum(), rel=1e-9)


def test_weighted_loss():
    check_weighted_loss()


class IgnoresWeights(GPTClassifier):
    def loss_sum(self, ids, targets, mask=None):
        self.class_weights = None
        return super().loss_sum(ids, targets, mask)


class WeighsTheCountOnly(GPTClassifier):
    def loss_sum(self, ids, targets, mask=None):
        _, count = super().loss_sum(ids, targets, mask)
        self.class_weights = None
        return super().loss_sum(ids, targets, mask)[0], count


@pytest.mark.parametrize("bug", [IgnoresWeights, WeighsTheCountOnly])
def test_planted_bugs_are_found(bug):
    with pytest.raises(AssertionError):
        check_weighted_loss(bug)


@pytest.mark.parametrize("settings", [{"pooling": "last"}, {"pooling": "mean"}, {"level": "token"}])
def test_gradients(settings, rng):
    model = classifier(class_weights=[1.0, 3.0, 0.5], **settings)
    targets = np.array([[-100, -100, -100, -100, -100, 1], [-100, -100, 2, -100, -100, -100]])

    def f(weight, bias, norm):
        model.head.weight, model.head.bias, model.gpt.ln_f.weight = weight, bias, norm
        return model.loss_sum(IDS, targets)[0]

    assert mg.gradcheck(f, [rng.normal(size=s) for s in ((8, 3), (3,), (8,))])


def test_the_last_target_says_where_a_row_ends():
    """Batches of BucketedData need no mask: the class stands at the last token, what follows is padding."""
    for pooling in ("last", "mean"):
        model = classifier(pooling=pooling)
        targets = np.array([[-100, -100, -100, -100, -100, 2], [-100, -100, 1, -100, -100, -100]])
        loss, count = model.loss_sum(IDS, targets)
        wanted = softmax_losses(model(IDS, TOKENS).numpy(), [2, 1]).sum()
        assert (loss.item(), count) == (pytest.approx(wanted, rel=1e-9), 2)
        masked, _ = model.loss_sum(IDS, targets, mask=TOKENS[:, None, None, :])
        assert masked.item() == pytest.approx(wanted, rel=1e-9)


def test_a_batch_without_targets_is_refused_by_the_trainer():
    for weights in (None, [1.0, 1.0, 0.0]):
        model = GPTClassifier(tiny_model(), CLASSES, class_weights=weights)
        empty = np.full(IDS.shape, -100)
        loss, count = model.loss_sum(IDS, empty)
        assert (loss.item(), count) == (0.0, 0)

        class Masked:
            def batch(self, rng, n, empty=empty):
                return {"ids": IDS, "targets": empty}

        trainer = Trainer(model, Masked(), TrainConfig(steps=1, batch_size=2, backend="numpy", progress=False))
        with pytest.raises(ArgumentError, match="no target of the batch counts"):
            trainer.step()


@pytest.mark.parametrize("level", ["sequence", "token"])
def test_learns_and_predicts(level, rng):
    """Two workers, rows of several lengths: the class is the parity of the last token, or of each."""
    rows = [rng.integers(0, 11, rng.integers(2, 9)) for _ in range(120)]

    def target(row):
        marks = row % 2
        return marks if level == "token" else np.where(np.arange(len(row)) == len(row) - 1, marks, -100)

    data = BucketedData(
        Rendered.from_targets([(row, target(row)) for row in rows[:80]]),
        Rendered.from_targets([(row, target(row)) for row in rows[80:]]),
        bucket_width=2,
    )
    model = GPTClassifier(tiny_model(), ["even", "odd"], level=level, class_weights=[1.0, 1.5], causal=level != "token")
    Trainer(model, data, TrainConfig(steps=60, batch_size=16, lr=2e-2, workers=2, backend="cpu", progress=False)).fit()
    found = model.predict(rows[80:], batch_size=16)
    right = [
        np.mean(f == (row % 2 if level == "token" else row[-1] % 2)) for f, row in zip(found, rows[80:], strict=True)
    ]
    assert np.mean(right) == 1.0


def test_folder(tmp_path):
    model = GPTClassifier(tiny_model(), CLASSES, "token", class_weights=[1, 2, 3], causal=False, seed=4)
    model.gpt.tokenizer = CharTokenizer("abcdefghijk")
    model.save_pretrained(tmp_path)
    loaded = GPTClassifier.from_pretrained(tmp_path)
    np.testing.assert_array_equal(loaded(IDS).numpy(), model.eval()(IDS).numpy())
    assert loaded.class_names == CLASSES
    assert loaded.class_weights.tolist() == [1, 2, 3]
    assert loaded.tokenizer.characters == "abcdefghijk"
    settings = json.loads((tmp_path / "classifier.json").read_text())
    for damage in ({"level": "word"}, {"colour": 1}):
        (tmp_path / "classifier.json").write_text(json.dumps({**settings, **damage}))
        with pytest.raises(CheckpointError, match="damaged"):
            GPTClassifier.from_pretrained(tmp_path)


def test_resumed_bit_for_bit(tmp_path, rng):
    rows = [(row, np.where(np.arange(len(row)) == len(row) - 1, row % 3, -100)) for row in rng.integers(0, 11, (30, 5))]
    data = BucketedData(Rendered.from_targets(rows))
    config = TrainConfig(steps=4, batch_size=6, lr=1e-2, workers=1, out=str(tmp_path), progress=False, warmup=1)

    def fresh():
        return GPTClassifier(tiny_model(), CLASSES)

    straight = Trainer(fresh(), data, config)
    for _ in range(4):
        straight.step()
    half = Trainer(fresh(), data, config)
    half.step()
    half.save()
    again = Trainer.resume(tmp_path, data=data, model=GPTClassifier(tiny_model(seed=3), CLASSES))
    again.fit()
    for (name, p), (_, q) in zip(straight.model.named_parameters(), again.model.named_parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy(), err_msg=name)


def test_balanced_weights():
    targets = [0] * 6 + [1] * 3 + [2] + [-100] * 50
    weights = balanced_weights(targets, 3)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3])
    np.testing.assert_allclose(weights * [6, 3, 1], 10 / 3)  # every class counts the same in all
    with pytest.raises(ArgumentError, match="every one of 4 classes"):
        balanced_weights(targets, 4)
    with pytest.raises(ArgumentError, match="every one of 2 classes"):
        balanced_weights(targets, 2)


def test_refused():
    for classes in (["one"], ["a", "a"], "ab"):
        with pytest.raises(ArgumentError, match="two classes of different names"):
            GPTClassifier(tiny_model(), classes)
    for changes in ({"level": "word"}, {"pooling": "max"}):
        with pytest.raises(ArgumentError, match="is one of"):
            classifier(**changes)
    for weights in ([1, 2], [1, -1, 1], [0, 0, 0], [1, np.nan, 1]):
        with pytest.raises(ArgumentError, match="a number from 0 up for each of 3 classes"):
            classifier(class_weights=weights)
    model = classifier()
    with pytest.raises(ShapeError, match="at least one True in each row"):
        model(IDS, np.zeros(IDS.shape, bool))
    with pytest.raises(ArgumentError, match="several targets"):
        model.loss_sum(IDS, np.zeros(IDS.shape, int))
    with pytest.raises(ArgumentError, match="target 3 at index"):
        model.loss_sum(IDS, np.where(np.arange(6) == 5, 3, -100) + np.zeros((2, 1), int))
