"""The token that stands for a blank."""

import pytest

from minigpt.errors import TokenizerError
from minigpt.tokenizers import CharTokenizer, load_tokenizer
from minigpt.tokenizers.special import add_mask_token, mask_token


def test_mask_token(tmp_path):
    tok = CharTokenizer.train("abc", special_tokens=["<eot>"])
    assert mask_token(tok) is None
    assert add_mask_token(tok) == mask_token(tok) == 4
    assert add_mask_token(tok) == 4  # there already
    assert tok.vocab_size == 5
    tok.save(tmp_path)
    assert mask_token(load_tokenizer(tmp_path)) == 4


def test_a_piece_of_that_name():
    class Odd(CharTokenizer):
        def _has_piece(self, token):
            return token == "<mask>" or super()._has_piece(token)

    with pytest.raises(TokenizerError, match="already an ordinary piece"):
        add_mask_token(Odd.train("abc"))
