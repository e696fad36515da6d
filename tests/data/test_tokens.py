"""TokenData: windows shifted by one, every token reached, the validation part read exactly once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.data import TokenData
from minigpt.errors import ArgumentError, DataError, ShapeError


def test_batch_is_windows_and_the_same_shifted_by_one():
    data = TokenData(np.arange(100, dtype=np.uint16), block_size=8)
    batch = data.batch(np.random.default_rng(0), 5)
    assert set(batch) == {"ids", "targets"}
    for array in batch.values():
        assert array.shape == (5, 8)
        assert array.dtype == np.int64
    # The token at position i is i, so a window counts up and its targets are one further.
    np.testing.assert_array_equal(batch["ids"], batch["ids"][:, :1] + np.arange(8))
    np.testing.assert_array_equal(batch["targets"], batch["ids"] + 1)


def test_starts_are_uniform_up_to_the_last_token():
    """An off-by-one at the end never trains on the last token, or reads past it."""
    N, T, draws = 12, 4, 40_000
    batch = TokenData(np.arange(N), block_size=T).batch(np.random.default_rng(1), draws)
    starts, counts = np.unique(batch["ids"][:, 0], return_counts=True)
    np.testing.assert_array_equal(starts, np.arange(N - T))  # 0 … N − T − 1
    assert batch["targets"].max() == N - 1
    expected = draws / (N - T)
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 24.3  # 7 degrees of freedom, 0.1 %


def test_shortest_text_has_one_window():
    batch = TokenData([5, 6, 7], block_size=2).batch(0, 3)
    np.testing.assert_array_equal(batch["ids"], [[5, 6]] * 3)
    np.testing.assert_array_equal(batch["targets"], [[6, 7]] * 3)


def test_rng_is_a_generator_or_a_seed():
    data = TokenData(np.arange(1000), block_size=4)
    np.testing.assert_array_equal(data.batch(3, 8)["ids"], data.batch(3, 8)["ids"])
    np.testing.assert_array_equal(data.batch(3, 8)["ids"], data.batch(np.random.default_rng(3), 8)["ids"])
    generator = np.random.default_rng(3)
    first, second = data.batch(generator, 8), data.batch(generator, 8)
    assert (first["ids"] != second["ids"]).any()
    assert data.batch(None, 2)["ids"].shape == (2, 4)
    for bad in ("3", 1.0, True, -1, np.random.RandomState(0)):
        with pytest.raises(ArgumentError, match=r"rng is a numpy\.random\.Generator"):
            data.batch(bad, 2)


def test_nothing_is_copied(tmp_path):
    path = tmp_path / "train.bin"
    np.arange(500, dtype=np.uint16).tofile(path)
    mapped = np.memmap(path, dtype=np.uint16, mode="r")
    data = TokenData(mapped, mapped[400:]).with_block_size(16)
    assert np.shares_memory(data.train_ids, mapped)
    assert np.shares_memory(data.val_ids, mapped)
    assert data.train_ids.dtype == np.uint16
    batch = data.batch(0, 4)
    assert type(batch["ids"]) is np.ndarray
    assert batch["ids"].dtype == np.int64
    batch["ids"][0, 1] = 77  # a batch is the caller's own: neither the file nor the targets change
    assert batch["targets"][0, 0] != 77
    val = next(data.val_batches(2))
    val["ids"][0, 1] = 77
    assert val["targets"][0, 0] == 401


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.uint64, ">i4"])
def test_any_integer_dtype(dtype):
    data = TokenData(np.arange(100).astype(dtype), np.arange(50).astype(dtype), block_size=5)
    for batch in (data.batch(0, 3), next(data.val_batches(3))):
        assert batch["ids"].dtype == batch["targets"].dtype == np.int64
        np.testing.assert_array_equal(batch["ids"] + 1, batch["targets"])
    data.check(100)


# ---- the validation part


@given(
    length=st.integers(2, 60),
    T=st.integers(1, 12),
    n=st.integers(1, 5),
    max_tokens=st.none() | st.integers(1, 70),
)
def test_every_validation_token_is_predicted_once(length, T, n, max_tokens):
    T = min(T, length - 1)
    val = np.arange(length, dtype=np.int32)
    data = TokenData(np.arange(T + 1), val, block_size=T)
    batches = list(data.val_batches(n, max_tokens))
    targets = np.concatenate([batch["targets"].ravel() for batch in batches])
    wanted = length - 1 if max_tokens is None else min(length - 1, max_tokens)
    np.testing.assert_array_equal(targets, val[1 : wanted + 1])
    for batch in batches:
        np.testing.assert_array_equal(batch["ids"] + 1, batch["targets"])
        assert batch["ids"].shape[0] <= n
        assert batch["ids"].dtype == np.int64
    for batch in batches[:-1]:
        assert batch["ids"].shape[1] == T
    remainder = wanted % T
    assert batches[-1]["ids"].shape[1] == (remainder or T)
    if remainder:
        assert len(batches[-1]["ids"]) == 1


def test_val_batches_checks_at_the_call_not_at_the_first_batch():
    with pytest.raises(DataError, match="no validation part"):
        TokenData([1, 2, 3], block_size=2).val_batches(2)
    data = TokenData([1, 2, 3], [1, 2, 3], block_size=2)
    with pytest.raises(ArgumentError, match="max_tokens needs an integer of at least 1, got 0"):
        data.val_batches(2, max_tokens=0)
    with pytest.raises(ArgumentError, match="n needs an integer of at least 1, got 0"):
        data.val_batches(0)


def test_has_val_and_repr():
    assert not TokenData([1, 2]).has_val
    data = TokenData([1, 2, 3], [4, 5], block_size=1)
    assert data.has_val
    assert repr(data) == "TokenData(train: 3 tokens, val: 2 tokens, block_size=1)"


# ---- the block size


def test_with_block_size_binds_a_copy():
    data = TokenData(np.arange(20), np.arange(10))
    bound = data.with_block_size(4)
    assert (data.block_size, bound.block_size) == (None, 4)
    assert bound.train_ids is data.train_ids
    assert bound.val_ids is data.val_ids
    assert bound.with_block_size(6).batch(0, 1)["ids"].shape == (1, 6)


def test_without_block_size():
    data = TokenData(np.arange(20), np.arange(10))
    for call in (lambda: data.batch(0, 1), lambda: data.val_batches(1)):
        with pytest.raises(ArgumentError, match=r"no block size.*data\.with_block_size\(T\)"):
            call()


@pytest.mark.parametrize("value", [0, -3, 2.0, True, "8"])
def test_bad_block_size(value):
    with pytest.raises(ArgumentError, match="block_size needs an integer of at least 1"):
        TokenData([1, 2, 3], block_size=value)


def test_too_short_says_wanted_got_and_the_fix():
    data = TokenData(np.arange(100), np.arange(10))
    with pytest.raises(DataError, match=r"val_ids needs at least 65 tokens \(block_size 64 .* got 10: .*at most 9$"):
        data.with_block_size(64)
    with pytest.raises(DataError, match=r"train_ids needs at least 129 tokens .* got 100: .*at most 99$"):
        TokenData(np.arange(100), block_size=128)
    TokenData(np.arange(100), block_size=99).batch(0, 1)  # the proposed fix fits
    with pytest.raises(DataError, match=r"got 1: .*no block_size fits"):
        TokenData([1], block_size=4)
    with pytest.raises(DataError, match=r"train_ids needs at least 2 tokens.*got 0"):
        TokenData([])


# ---- other bad input


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (np.zeros((2, 5), int), ShapeError, r"train_ids needs one row of ids.*got shape \(2, 5\): join"),
        (5, ShapeError, r"got shape \(\)"),
        ([[1, 2], [3]], ShapeError, "rows of different lengths"),
        (np.zeros(5), ArgumentError, "integer ids, got dtype float64"),
        (np.zeros(5, bool), ArgumentError, "got dtype bool"),
        (["a", "b"], ArgumentError, "encode the text first"),
        ("some text", ShapeError, r"got shape \(\)"),
    ],
)
def test_bad_ids(ids, error, message):
    with pytest.raises(error, match=message):
        TokenData(ids)
    with pytest.raises(error, match=message.replace("train_ids", "val_ids")):
        TokenData([1, 2, 3], ids)


def test_check_names_part_and_position():
    big = np.zeros((1 << 20) + 10, dtype=np.uint16)  # the bad id stands behind the first piece
    big[(1 << 20) + 3] = 65
    data = TokenData(big, [0, 64])
    data.check(66)
    with pytest.raises(DataError, match=r"train_ids\[1048579\] is 65, but ids need to be 0 to 64"):
        data.check(65)
    with pytest.raises(DataError, match=r"val_ids\[1\] is -1"):
        TokenData([0, 1], [0, -1]).check(65)
    with pytest.raises(ArgumentError, match="vocab_size needs an integer"):
        data.check(65.0)
