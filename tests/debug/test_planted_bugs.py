"""Twenty bugs as students plant them: a tool finds each and says where it is, and says nothing about the right version.

What the tool has to say stands in the table of docs/debugging.md, one row a bug, and is read from there.
"""

import re
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import planted_ops as ops
import planted_training as training
import pytest
from planted_models import cached_gpt, library_gpt, student_gpt

import minigpt as mg
from minigpt import debug, optim

IDS = np.array([[1, 2, 3, 0, 1, 5], [0, 1, 2, 3, 4, 6], [2, 2, 0, 1, 5, 5], [3, 0, 4, 1, 2, 0]])
TARGETS = np.roll(IDS, -1, axis=1)
TEXT = np.arange(50) ** 2 % 7


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def said_by(found):
    """What a diff or a report has to say; "" if all is well."""
    return "" if found.ok else str(found)


def raised(error, function):
    try:
        function()
    except error as caught:
        return str(caught)
    return ""


# --- each function runs the tool on the right version for bug="", else on the wrong one ------------------------------


def against_the_library(part, layer, bug, **how):
    return said_by(debug.diff_runs(library_gpt(), student_gpt(part, bug, layer), IDS, TARGETS, **how))


def gradient_of(right, wrong, inputs, bug):
    return raised(mg.GradcheckError, lambda: mg.gradcheck((wrong if bug else right).apply, inputs))


def bias(bug):
    x, b = mg.Tensor(numbers(4, 3)), mg.Tensor(numbers(3), requires_grad=True)
    op = ops.AddBiasNotSummed if bug else ops.AddBias
    return raised(mg.ShapeError, lambda: op.apply(x, b).sum().backward())


def checked_model(model, bug, **how):
    return said_by(debug.check_model(model(bug), IDS, TARGETS, **how))


def tied(bug):
    return said_by(debug.check_gradients(cached_gpt(bug), IDS, TARGETS))


def targets(bug):
    return said_by(debug.check_batch(*training.batch(TEXT, [0, 5, 9], 6, bug)))


def adam(bug):
    return said_by(debug.check_optimizer(lambda params: training.MyAdam(params, lr=0.01, bug=bug),
                                         lambda params: optim.Adam(params, lr=0.01)))  # fmt: skip


def decay(bug):
    model = library_gpt()
    return said_by(debug.check_decay(training.adamw(model, bug), model))


def accumulation(bug):
    return said_by(debug.check_accumulation(partial(training.accumulate, bug=bug), library_gpt(), IDS, TARGETS))


def two_steps(bug):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with debug.anomaly():
            training.train(library_gpt(), IDS, TARGETS, 2, bug)
    return "\n".join(str(warning.message) for warning in caught)


def confident(bug):
    logits = mg.Tensor(np.array([[0.0, 200.0], [1.0, 2.0]], np.float32), requires_grad=True)

    def loss():
        with debug.anomaly():
            training.negative_log_likelihood(logits, np.array([1, 1]), bug)

    return raised(mg.NumericsError, loss)


BUGS = {
    "missing 1/√d": partial(against_the_library, "attention", 0, by="module"),
    "mask after softmax": partial(against_the_library, "attention", 0, by="module"),
    "softmax over the wrong axis": partial(against_the_library, "attention", 0, by="module"),
    "variance of layer norm by n - 1": partial(against_the_library, "norm", 1, by="module"),
    "`=` for `+=` in a gradient": partial(
        gradient_of, ops.Recurrence, ops.RecurrenceOverwriting, [numbers(3, 2, 4), numbers(4, 4)]
    ),
    "no sum over broadcast axes": bias,
    "weight gradient transposed": partial(
        gradient_of, ops.Project, ops.ProjectTransposed, [numbers(4, 3), numbers(3, 3)]
    ),
    "detached residual": partial(against_the_library, "block", 1, parts=True),
    "targets off by one": targets,
    "dropout in evaluation": partial(checked_model, partial(student_gpt, "mlp")),
    "wrong bias correction in Adam": adam,
    "norms decayed": decay,
    "accumulated gradients not scaled": accumulation,
    "positions not offset in the cache": partial(checked_model, cached_gpt),
    "tied weights, one gradient": tied,
    "wrong slope of GELU": partial(against_the_library, "mlp", 0, parts=True),
    "gradients not set to zero": two_steps,
    "log of softmax": confident,
    "repeated ids overwrite": partial(
        gradient_of, ops.Lookup, ops.LookupOverwriting, [np.array([1, 0, 1]), numbers(3, 2)]
    ),
    "inverted mask": partial(checked_model, partial(student_gpt, "attention"), new_cache=False),
}
SWITCH = {  # what the bug is called in the student's code, where it is not its name
    "missing 1/√d": "missing scale",
    "softmax over the wrong axis": "softmax axis",
    "variance of layer norm by n - 1": "variance by n - 1",
    "targets off by one": "targets not shifted",
    "dropout in evaluation": "dropout in eval",
    "wrong bias correction in Adam": "bias correction",
    "accumulated gradients not scaled": "not scaled",
    "positions not offset in the cache": "positions from 0",
    "tied weights, one gradient": "head not tied in backward",
    "wrong slope of GELU": "gelu slope",
    "gradients not set to zero": "gradients not zeroed",
}
PLACE = {  # beside the message: what a message has to name at least
    "missing 1/√d": r"h\.0\.attn\.scores.*\(0, 0, 3, 0\)",
    "mask after softmax": r"h\.0\.attn\.weights.*\(2, 0, 0, 0\)",
    "softmax over the wrong axis": r"h\.0\.attn\.weights.*\(1, 0, 5, 5\)",
    "variance of layer norm by n - 1": r"h\.1\.ln_1: ",
    "`=` for `+=` in a gradient": r"input 1 at index \(",
    "no sum over broadcast axes": r"AddBiasNotSummed\.backward.*input 1 ",
    "weight gradient transposed": r"input 1 at index \(",
    "detached residual": r"in h\.1: .*planted_models\.py:\d+: return past \+ self\.mlp",
    "targets off by one": r"row 0, position 0",
    "dropout in evaluation": r"Dropout in h\.0\.mlp, at planted_models\.py:\d+: h = F\.dropout",
    "wrong bias correction in Adam": r"step 1, weight at \(",
    "norms decayed": r"h\.0\.ln_1\.weight: .*ln_f\.bias: ",
    "accumulated gradients not scaled": r"wte\.weight\.grad: .*\(4, 5\)",
    "positions not offset in the cache": r"token 1, .* in wpe",
    "tied weights, one gradient": r"wte\.weight: at \(",
    "wrong slope of GELU": r"GELU\.backward in h\.0\.mlp: .*planted_models\.py:\d+: h = bend\.apply",
    "gradients not set to zero": r"wte\.weight, ",
    "log of softmax": r"Log .*at planted_training\.py:\d+: logs = ",
    "repeated ids overwrite": r"input 1 at index \(1, ",
    "inverted mask": r"position 5 .* position 2 .*in h\.0\.attn, at planted_models\.py:\d+: heads = ",
}


def rows_of_the_table():
    """Name of the bug -> what the tool says, the parts between dots, from the section of docs/debugging.md"""
    text = (Path(mg.__file__).parents[1] / "docs/debugging.md").read_text(encoding="utf-8")
    section = text[text.index("## Twenty bugs and what finds them") :].split("\n## ")[0]
    lines = [line.strip("| \n").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {name: message.strip("`").split(" … ") for name, _, _, message in lines[1:]}


TABLE = rows_of_the_table()


def test_the_table_has_these_twenty():
    assert list(TABLE) == list(BUGS) == list(PLACE)
    assert len(BUGS) == 20
    for switch in SWITCH.values():  # a misspelt one would plant nothing
        assert any(switch in (Path(__file__).parents[1] / "helpers" / f"planted_{name}.py").read_text(encoding="utf-8")
                   for name in ("models", "training"))  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found_and_its_place_named(name):
    find = BUGS[name]
    assert find(bug="") == ""
    message = find(bug=SWITCH.get(name, name))
    assert re.search(PLACE[name], message, re.DOTALL), message
    position = 0
    for part in TABLE[name]:
        assert part in message[position:], f"docs/debugging.md says {part!r}, the tool {message!r}"
        position = message.index(part, position) + len(part)
