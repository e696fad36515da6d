"""From text to text: generation with a model and its tokenizer.

generate, stream    continuations of a prompt, whole or piece by piece
Chat                a conversation with a model that was tuned for dialogue
Completion          continuations in the shape of a completions answer
next_tokens         the likeliest next tokens
microscope          what the sampling filters did to each token's candidates
"""

from .chat import Chat
from .completion import Completion
from .sampling import microscope
from .text import generate, next_tokens, stream

__all__ = ["Chat", "Completion", "generate", "microscope", "next_tokens", "stream"]
