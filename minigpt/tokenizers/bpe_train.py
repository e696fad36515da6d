"""Learning the merges of byte-level BPE: join the most frequent pair of neighbours, count again, and so on
(Sennrich et al. 2016, algorithm 1).

Counting again is what would take the time, so the counts are kept up to date instead: a merge touches only the places
where its pair stands, and the next best pair comes from a heap whose outdated entries are put right when they show up.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from ..errors import TokenizerError
from .base import check_text, special_pattern
from .bpe_split import alphabet_bytes, chunks, split

Pair = tuple[int, int]
SECONDS_BEFORE_BAR = 2


def count_pieces(text: str | Iterable[str], special_tokens: list[str], progress: bool | None) -> Counter[str]:
    """How often each piece occurs; special tokens are cut out first. A text may come in several strings."""
    counts: Counter[str] = Counter()
    texts = [text] if isinstance(text, str) else text
    if isinstance(texts, bytes) or not isinstance(texts, Iterable):
        check_text(texts, "BPETokenizer.train")  # refuses it, and says how to decode bytes
    pattern = special_pattern(special_tokens) if special_tokens else None
    total = len(text) if isinstance(text, str) else None
    with _bar(total, "reading", "char", progress) as bar:
        for part in texts:
            check_text(part, "BPETokenizer.train")
            for start, stop in _between(pattern, part):
                for chunk in chunks(part, start, stop):
                    counts.update(split(chunk))
                    bar.update(len(chunk))
    return counts


def _between(pattern, text: str) -> Iterator[tuple[int, int]]:
    """(start, stop) of what lies between the matches of a pattern."""
    start = 0
    for match in pattern.finditer(text) if pattern else ():
        yield start, match.start()
        start = match.end()
    yield start, len(text)


def learn_merges(piece_counts: dict[str, int], n_merges: int, progress: bool | None = None) -> list[Pair]:
    """Up to n_merges pairs of ids, best first; fewer if no pair is left. The m-th pair makes the token 256 + m.

    Of pairs with the same count the one with the smaller ids comes first (left, then right), as in Hugging Face's
    `tokenizers`. As there, a run "aaa" counts as two pairs (a, a), although only one of them can be merged.
    """
    corpus = _Corpus(piece_counts)
    heap = [(-count, pair) for pair, count in corpus.counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    with _bar(n_merges, "merges", "merge", progress) as bar:
        while len(merges) < n_merges and heap:
            negative, pair = heapq.heappop(heap)
            count = corpus.counts.get(pair, 0)
            if count != -negative:  # outdated: other merges have taken some of its places
                if count > 0:
                    heapq.heappush(heap, (-count, pair))
                continue
            new_pairs = corpus.merge(pair, 256 + len(merges))
            merges.append(pair)
            for new in new_pairs:
                heapq.heappush(heap, (-corpus.counts[new], new))
            bar.update()
    return merges


class _Corpus:
    """All distinct pieces in a row, as linked lists of tokens, with the count of every pair of neighbours.

    A token stands at the position of its first byte: ids[position], or −1 where a token to the left has swallowed it.
    `after` and `before` are the positions of its neighbours in the piece, −1 at the ends. `frequency` says how often
    the piece of a position occurs in the text.
    """

    def __init__(self, piece_counts: dict[str, int]):
        id_of = {byte: i for i, byte in enumerate(alphabet_bytes())}
        self.ids: list[int] = []
        self.after: list[int] = []
        self.before: list[int] = []
        self.frequency: list[int] = []
        for piece, count in piece_counts.items():
            first, data = len(self.ids), piece.encode("utf-8")
            last = first + len(data) - 1
            self.ids += [id_of[byte] for byte in data]
            self.after += [*range(first + 1, last + 1), -1]
            self.before += [-1, *range(first, last)]
            self.frequency += [count] * len(data)
        self.counts: dict[Pair, int] = defaultdict(int)
        self.places: dict[Pair, list[int]] = defaultdict(list)  # pair -> where its left token stands, or stood
        for position, following in enumerate(self.after):
            if following >= 0:
                self._add(position, following)

    def _add(self, left: int, right: int) -> Pair:
        pair = self.ids[left], self.ids[right]
        self.counts[pair] += self.frequency[left]
        self.places[pair].append(left)
        return pair

    def merge(self, pair: Pair, new_id: int) -> set[Pair]:
        """Join the pair wherever it stands, from left to right; returns the pairs that this made."""
        ids, after, before, counts = self.ids, self.after, self.before, self.counts
        new_pairs = set()
        for left in self.places.pop(pair):  # noted from left to right, which matters in runs such as "aaa"
            right = after[left]
            if right < 0 or (ids[left], ids[right]) != pair:
                continue  # another merge has taken this place
            previous, following = before[left], after[right]
            if previous >= 0:
                counts[ids[previous], pair[0]] -= self.frequency[left]
            if following >= 0:
                counts[pair[1], ids[following]] -= self.frequency[left]
                before[following] = left
            ids[left], ids[right], after[left] = new_id, -1, following
            if previous >= 0:
                new_pairs.add(self._add(previous, left))
            if following >= 0:
                new_pairs.add(self._add(left, following))
        del counts[pair]
        return {made for made in new_pairs if counts[made] > 0}


def _bar(total: int | None, name: str, unit: str, progress: bool | None):
    """A bar on a terminal, after two seconds; progress=False is silent, True shows it where there is no terminal."""
    from tqdm import tqdm  # here: slow to import

    disable = None if progress is None else not progress
    return tqdm(
        total=total, desc=name, unit=unit, unit_scale=True, leave=False, delay=SECONDS_BEFORE_BAR, disable=disable
    )


def check_size(vocab_size: int, n_special: int) -> int:
    """How many merges fit. Raises TokenizerError if not even the 256 bytes and the special tokens do."""
    if isinstance(vocab_size, bool) or not hasattr(vocab_size, "__index__"):
        raise TokenizerError(f"vocab_size needs an integer, got {type(vocab_size).__name__} {vocab_size!r}")
    least = 256 + n_special
    if vocab_size < least:
        special = f" and {n_special} special tokens" if n_special else ""
        raise TokenizerError(
            f"vocab_size needs at least {least}, 256 for the single bytes{special}, got {vocab_size}: byte-level BPE "
            "starts from all bytes so that it can encode any text"
        )
    return int(vocab_size) - least
