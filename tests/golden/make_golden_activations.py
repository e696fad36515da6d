"""Write activations.npz: what every module of Transformers' GPT-2 puts out, under the names it has there.

    python -m tests.golden.make_golden_activations            write the file beside this script
    python -m tests.golden.make_golden_activations --check    compute it again and compare, write nothing

The model and ids are those of gpt2.npz; a forward hook on each module keeps its output, as one does to compare a model
with another framework's.
"""

import json

import numpy as np
import torch

from tests.golden.make_golden import FOLDER, asked_to_check, store

KEPT = ("wte", "wpe", "ln_1", "attn", "ln_2", "mlp", "ln_f", "lm_head")


def make_activations():
    from transformers import GPT2Config, GPT2LMHeadModel

    with np.load(FOLDER / "gpt2.npz") as stored:
        sizes = json.loads(stored["config"].tobytes())["model"]
        state = {key.removeprefix("state/"): stored[key] for key in stored.files if key.startswith("state/")}
        ids = stored["ids"]  # (3, 13)
    config = GPT2Config(**sizes, attn_implementation="eager", bos_token_id=None, eos_token_id=None)
    model = GPT2LMHeadModel(config).eval()
    for name, array in state.items():
        model.get_parameter(f"transformer.{name}").data = torch.tensor(array)
    model.tie_weights()
    arrays = {}

    def keep(name):
        def hook(module, inputs, output):
            first = output[0] if isinstance(output, tuple) else output
            arrays[name] = first.detach().numpy().copy()

        return hook

    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if last in KEPT or last.isdigit():
            module.register_forward_hook(keep(name))
    with torch.no_grad():
        model(torch.from_numpy(ids))
    return arrays


def main():
    store(FOLDER / "activations.npz", make_activations(), asked_to_check(__doc__))


if __name__ == "__main__":
    main()
