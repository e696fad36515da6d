"""From text to text: generation with a model and its tokenizer.

generate, stream    continuations of a prompt, whole or piece by piece
Completion          the same in the shape of a completions answer
next_tokens         the likeliest next tokens
microscope          what the sampling filters did to each token's candidates
"""

from .completion import Completion
from .sampling import microscope
from .text import generate, next_tokens, stream

__all__ = ["Completion", "generate", "microscope", "next_tokens", "stream"]
