"""Ids in, text out: whole characters only, and nothing of a stop string."""

from __future__ import annotations

import codecs

from ..errors import ArgumentError, TokenizerError

CONTEXT = 4  # ids of the prompt that a tokenizer sees before the first new one
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def stop_strings(stop) -> list[str]:
    """None, a string or several -> a list. Raises ArgumentError for anything else, and for an empty string."""
    stops = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list | tuple) or not all(isinstance(s, str) and s for s in stops):
        raise ArgumentError(f"stop is a non-empty string or a list of them, got {stop!r}")
    return list(stops)


class Writer:
    """The text of one continuation, as its tokens arrive.

    tok      a tokenizer. One with TOKENS_ARE_BYTES has its bytes joined to characters; of others all ids are decoded
             together, and only what is new counts, so that a tokenizer of words puts its spaces
    stops    the text ends before the first of these strings that is complete
    prompt   ids before the continuation
    live     whether the text is wanted after every token, for streaming; it is in any case if there are stops

    Attributes: ids; text, in whole characters, without a stop string; done; reason: "stop" or "length"
    """

    def __init__(self, tok, stops=(), prompt=(), live=False):
        self.tok, self.stops = tok, list(stops)
        self.live = live or bool(stops)
        self.ids: list[int] = []
        self.text = ""
        self.done = False
        self.reason = "length"
        self._taken = 0
        self._longest = max(map(len, self.stops), default=0)
        self._utf8 = (
            codecs.getincrementaldecoder("utf-8")("replace") if getattr(tok, "TOKENS_ARE_BYTES", False) else None
        )
        self._context = [] if self._utf8 else list(prompt)[-CONTEXT:]
        self._before = tok.decode(self._context) if self._context else ""

    def push(self, token_id: int) -> None:
        """One more token. Sets `done` if it completes a stop string."""
        self.ids.append(token_id)
        if self.live:
            self._update([token_id])

    def end(self) -> None:
        """The text ends here of its own accord: by the end token."""
        self.reason = "stop"

    def finish(self) -> str:
        """No token follows: the text, in which half a character is now U+FFFD."""
        if not self.done:
            self._update([] if self.live else self.ids, final=True)
            self.done = True
        return self.text

    def take(self) -> str:
        """Text that is certain and was not taken before: it begins no stop string and lacks no byte."""
        certain = len(self.text) if self.done else len(self.text) - self._held()
        piece = self.text[self._taken : certain]
        self._taken = max(self._taken, certain)
        return piece

    def _update(self, new, final=False):
        known = len(self.text)
        if self._utf8 is not None:
            self.text += self._utf8.decode(self.tok.decode_bytes(new), final)
        else:
            self._decode_all(final)
        self._look_for_stops(known)

    def _decode_all(self, final):
        whole = self.tok.decode(self._context + self.ids)
        whole = whole[len(self._before) :] if whole.startswith(self._before) else self.tok.decode(self.ids)
        if not final:
            whole = whole.rstrip(REPLACEMENT)  # it may be half a character
        if not whole.startswith(self.text[: self._taken]):
            raise TokenizerError(
                f"this {type(self.tok).__name__} decodes the beginning of a text differently once more follows: "
                f"{self.text[: self._taken]!r}, then {whole!r}; such a text cannot be streamed, use generate"
            )
        self.text = whole

    def _look_for_stops(self, known):
        """Cut at the earliest stop string that is complete now; `known` characters were looked at before."""
        start = max(0, known - self._longest + 1)
        places = [place for place in (self.text.find(s, start) for s in self.stops) if place >= 0]
        if places:
            self.text, self.done, self.reason = self.text[: min(places)], True, "stop"

    def _held(self) -> int:
        """Length of the longest end of the text that may be the beginning of a stop string."""
        longest = min(self._longest - 1, len(self.text))
        tails = (self.text[len(self.text) - n :] for n in range(longest, 0, -1))
        return next((len(tail) for tail in tails if any(s.startswith(tail) for s in self.stops)), 0)
