"""Adapters in a model: what learns, what they weigh, and that they are saved and loaded alone."""

import json

import numpy as np
import pytest
from tiny_dialogue import IDS, tiny_data, tiny_model

from minigpt.errors import ArgumentError, CheckpointError, ConfigError
from minigpt.models import GPT, GPTConfig
from minigpt.training import TrainConfig, Trainer
from minigpt.training.freezing import parameter_share
from minigpt.training.lora import (
    add_lora,
    load_adapter,
    lora_layers,
    merge_lora,
    remove_lora,
    save_adapter,
    unmerge_lora,
)

FAST = {"batch_size": 6, "lr": 1e-2, "warmup": 1, "backend": "numpy", "progress": False, "weight_decay": 0.1}


def trained(rank=2, steps=4, workers=1, also=(), **changes):
    model = add_lora(tiny_model(), rank, also=also)
    Trainer(model, tiny_data(), TrainConfig(steps=steps, workers=workers, **FAST, **changes)).fit()
    return model


def test_share_of_parameters():
    """At most 10 % of a model of 1 million parameters, under 2 % of gpt2's; counted from the layers' shapes."""
    small = GPT(GPTConfig(vocab_size=128, block_size=128, n_layer=5, n_head=4, n_embd=128), seed=0)
    add_lora(small, rank=8)
    learning, total = parameter_share(small)
    assert learning == 8 * 5 * (128 + 384 + 128 + 128 + 128 + 512 + 512 + 128)
    assert 1_000_000 < total - learning < 1_050_000
    assert learning / (total - learning) <= 0.10
    config = GPTConfig.named("gpt2")
    C = config.n_embd
    gpt2 = 8 * config.n_layer * (C + 3 * C + C + C + C + 4 * C + 4 * C + C)
    assert gpt2 / config.n_parameters() < 0.02


def test_nothing_changes_until_it_learns():
    base, tuned = tiny_model(), add_lora(tiny_model(), 3)
    np.testing.assert_array_equal(tuned(IDS)[0].numpy(), base(IDS)[0].numpy())
    assert len(lora_layers(tuned)) == 4 * 2  # four matrices in each of two blocks
    assert sorted(lora_layers(add_lora(tiny_model(), 2, targets=["mlp.c_proj"]))) == [
        "h.0.mlp.c_proj",
        "h.1.mlp.c_proj",
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_only_adapters_move(workers):
    before = dict(add_lora(tiny_model(), 2).named_parameters())
    model = trained(workers=workers)
    for name, p in model.named_parameters():
        same = np.array_equal(p.numpy(), before[name].numpy())
        assert same != name.endswith((".lora_a", ".lora_b")), name
        assert same == (p.grad is None), name  # frozen parameters cost no gradient
    assert trained(also=["wte.weight"]).wte.weight.requires_grad


def test_threads_train_the_same_adapters():
    one, two = (dict(trained(workers=n).named_parameters()) for n in (1, 2))
    for name in one:
        np.testing.assert_allclose(one[name].numpy(), two[name].numpy(), atol=1e-5)


def test_merge_unmerge_remove():
    model = trained()
    y = model(IDS)[0].numpy()
    np.testing.assert_allclose(merge_lora(model)(IDS)[0].numpy(), y, atol=1e-5 * np.abs(y).max())
    np.testing.assert_allclose(unmerge_lora(model)(IDS)[0].numpy(), y, atol=1e-5 * np.abs(y).max())
    base = remove_lora(model)
    assert not lora_layers(base)
    assert all(p.requires_grad for p in base.parameters())
    wanted = tiny_model()(IDS)[0].numpy()
    np.testing.assert_allclose(base(IDS)[0].numpy(), wanted, atol=1e-5 * np.abs(wanted).max())
    for_good = remove_lora(merge_lora(trained()))
    np.testing.assert_allclose(for_good(IDS)[0].numpy(), y, atol=1e-5 * np.abs(y).max())
    for what in (merge_lora, unmerge_lora, remove_lora):
        with pytest.raises(ArgumentError, match="no adapters"):
            what(base)


def test_saved_alone_and_loaded_onto_the_base(tmp_path):
    model = trained(also=["wte.weight"])
    save_adapter(model, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    learning, _ = parameter_share(model)
    assert (tmp_path / "adapter_model.safetensors").stat().st_size < 4 * learning + 4000
    loaded = load_adapter(tiny_model(), tmp_path)
    np.testing.assert_array_equal(loaded(IDS)[0].numpy(), model(IDS)[0].numpy())
    assert {n for n, p in loaded.named_parameters() if p.requires_grad} == {
        n for n, p in model.named_parameters() if p.requires_grad
    }
    with pytest.warns(UserWarning, match="other weights"):
        load_adapter(tiny_model(seed=8), tmp_path)
    save_adapter(merge_lora(model), tmp_path)  # merged, the base cannot be compared bit for bit
    np.testing.assert_array_equal(load_adapter(tiny_model(), tmp_path)(IDS)[0].numpy(), loaded(IDS)[0].numpy())


def test_the_whole_model_is_saved_merged(tmp_path):
    model = trained()
    model.save_pretrained(tmp_path)
    plain = GPT.from_pretrained(tmp_path)
    np.testing.assert_allclose(plain(IDS)[0].numpy(), model(IDS)[0].numpy(), atol=1e-5)
    assert lora_layers(model)  # saving took nothing out of it


def test_resumed_bit_for_bit(tmp_path):
    """A checkpoint goes on from the base and the adapters; without the base it says what to pass."""
    straight = trained(steps=6)
    config = TrainConfig(steps=6, workers=1, save_interval=3, out=str(tmp_path), **FAST)
    half = Trainer(add_lora(tiny_model(), 2), tiny_data(), config)
    for _ in range(3):
        half.step()
    half.save()
    with pytest.raises(CheckpointError, match="pass model="):
        Trainer.resume(tmp_path, data=tiny_data())
    with pytest.warns(UserWarning, match="other weights"), pytest.raises(CheckpointError, match="not of the same step"):
        Trainer.resume(tmp_path, data=tiny_data(), model=add_lora(tiny_model(seed=9), 2))
    again = Trainer.resume(tmp_path, data=tiny_data(), model=add_lora(tiny_model(), 2))
    again.fit()
    for (name, p), (_, q) in zip(straight.named_parameters(), again.model.named_parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy(), err_msg=name)


def test_full_training_over_an_adapter_folder_removes_it(tmp_path):
    config = TrainConfig(steps=1, workers=1, out=str(tmp_path), **FAST)
    Trainer(add_lora(tiny_model(), 2), tiny_data(), config).fit()
    assert (tmp_path / "adapter_config.json").exists()
    Trainer(tiny_model(), tiny_data(), config).fit()
    assert not (tmp_path / "adapter_config.json").exists()
    assert Trainer.resume(tmp_path, data=tiny_data()).step_number == 1


def test_refused(tmp_path):
    model = tiny_model()
    with pytest.raises(
        ArgumentError, match="no Linear of this model is called 'query'; there are c_attn, c_fc, c_proj"
    ):
        add_lora(model, targets=["c_attn", "query"])
    with pytest.raises(ArgumentError, match="lists of names"):
        add_lora(model, targets="c_attn")
    with pytest.raises(ArgumentError, match="no parameter 'head'"):
        add_lora(model, also=["head"])
    with pytest.raises(ArgumentError, match="rank 99"):
        add_lora(model, rank=99)
    assert all(p.requires_grad for p in model.parameters())
    assert not lora_layers(model)
    with pytest.raises(ArgumentError, match="no adapters"):
        save_adapter(model, tmp_path)
    add_lora(model, 2)
    with pytest.raises(ArgumentError, match="has adapters already"):
        add_lora(model, 2)
    with pytest.raises(ConfigError, match="unfreeze_every is for models without adapters"):
        Trainer(model, tiny_data(), TrainConfig(steps=2, unfreeze_every=1, **FAST))

    save_adapter(model, tmp_path)
    with pytest.raises(CheckpointError, match=r"h\.0\.attn\.c_attn\.lora_a: shape .* given, .* needed"):
        load_adapter(tiny_model(n_embd=16), tmp_path)
    with pytest.raises(CheckpointError, match=r"no linear layer 'h\.1"):
        load_adapter(tiny_model(n_layer=1), tmp_path)
    values = json.loads((tmp_path / "adapter_config.json").read_text())
    for damage, message in (({"version": 2}, "wanted"), ({"layers": None}, "does not fit"), ({"rank": "2"}, "rank")):
        (tmp_path / "adapter_config.json").write_text(json.dumps({**values, **damage}))
        with pytest.raises(CheckpointError, match=message):
            load_adapter(tiny_model(), tmp_path)
