"""EncoderDecoderConfig: which numbers fit together, and what the errors say."""

import numpy as np
import pytest

import minigpt as mg
from minigpt.models import EncoderDecoderConfig

GOOD = {"vocab_size": 9, "block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 8, "start_id": 1, "end_id": 2}


def test_round_trip():
    config = EncoderDecoderConfig(**GOOD, src_vocab_size=np.int64(4), norm="post")
    assert EncoderDecoderConfig.from_dict(config.to_dict()) == config
    assert type(config.src_vocab_size) is int


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_layer": 0}, "n_layer must be a positive integer"),
        ({"n_decoder_layer": 0}, "n_decoder_layer must be a positive integer"),
        ({"hidden": 2.5}, "hidden must be a positive integer"),
        ({"n_head": 3}, "n_embd 8 is not divisible by n_head 3"),
        ({"n_embd": 7, "n_head": 7}, "even n_embd, got 7; or positions='learned'"),
        ({"positions": "rotary"}, "positions must be one of sinusoidal, learned; got 'rotary'"),
        ({"norm": None}, "norm must be one of pre, post"),
        ({"activation": "tanh"}, "activation must be one of gelu, relu"),
        ({"start_id": 9}, "start_id must be a token id from 0 to 8, got 9"),
        ({"end_id": True}, "end_id must be a token id"),
        ({"label_smoothing": 1.0}, "label_smoothing must be a number in"),
        ({"bias": 1}, "bias must be True or False"),
    ],
)
def test_what_does_not_fit(changes, message):
    with pytest.raises(mg.ConfigError, match=message):
        EncoderDecoderConfig(**{**GOOD, **changes})


def test_unknown_and_missing_settings():
    with pytest.raises(mg.ConfigError, match="unknown settings"):
        EncoderDecoderConfig.from_dict({**GOOD, "layers": 3})
    with pytest.raises(mg.ConfigError, match=r"settings \['end_id', 'start_id'\] are missing"):
        EncoderDecoderConfig.from_dict({k: v for k, v in GOOD.items() if not k.endswith("_id")})
