"""Tiny models with random weights, one of every family, each with a tokenizer of its own."""

from minigpt import models
from minigpt.models.recurrent_seq2seq import Seq2SeqConfig
from minigpt.tokenizers import CharTokenizer

TEXT = "the cat sat on the mat. "
SIZE = {"n_layer": 2, "n_head": 2, "n_embd": 16}


def char_tokenizer(*special):
    tok = CharTokenizer.train(TEXT)
    tok.add_special_tokens(list(special))
    return tok


def make(family):
    """A model of that family; its weights are drawn with a fixed seed."""
    tok = char_tokenizer("<start>", "<end>", "<mask>")
    V, ids = tok.vocab_size, tok.special_tokens
    ends = {"start_id": ids["<start>"], "end_id": ids["<end>"]}
    gpt = models.GPT(models.GPTConfig(V, 24, **SIZE), seed=1)
    masked = models.MaskedLM(models.EncoderConfig(V, 24, mask_id=ids["<mask>"], **SIZE), seed=1)
    if family == "gpt":
        model = gpt
    elif family == "masked":
        model = masked
    elif family == "classifier":
        model = models.EncoderClassifier.from_masked_lm(masked, ["good", "bad", "<odd>"], seed=1)
    elif family in ("gpt-classifier", "token-classifier"):
        gpt.tokenizer = tok
        return models.GPTClassifier(
            gpt, ["good", "bad"], "token" if family == "token-classifier" else "sequence", seed=1
        )
    elif family == "encoder-decoder":
        model = models.EncoderDecoder(models.EncoderDecoderConfig(V, 24, n_decoder_layer=3, **ends, **SIZE), seed=1)
    elif family == "seq2seq":
        model = models.RecurrentSeq2Seq(Seq2SeqConfig(V, 16, n_layer=2, **ends), seed=1)
    else:
        model = models.RecurrentLM(models.RecurrentConfig(V, n_layer=2, n_embd=16, cell=family), seed=1)
    model.tokenizer = tok
    return model


FAMILIES = (
    "gpt", "encoder-decoder", "masked", "classifier", "gpt-classifier", "token-classifier", "lstm", "gru", "rnn",
    "seq2seq",
)  # fmt: skip
