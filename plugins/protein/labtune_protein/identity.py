"""Sequence identity: which records are homologues, for splits and audits.

Identity is the number of identical residues in the best local alignment (BLOSUM62, gaps 11 and 1) over the length of
the shorter sequence. MMseqs2 finds the pairs when it is installed. Else every pair of sequences is compared by the
words of three letters that they share, and those that share more than chance explains are aligned: good to twenty
thousand sequences. Of more, for identities from 0.5, and of very long ones only those are aligned that share words of
five letters, which are rare enough to be looked up. Below about 0.3 nothing finds all: there identity no longer tells
homologues from chance.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy import sparse

from labtune.specs import Record
from labtune_protein.baselines import LETTERS, letter_numbers
from labtune_protein.mmseqs import find_pairs

ALIKE = 0.5  # identity from which two proteins count as near duplicates in an audit
WORD = 3
BLOCK = 256  # sequences that are compared with all others at once
MANY = 20_000  # sequences from which on not every pair is compared
FULL = 2000  # letters from which on a sequence has so many words of three that they say little
LONG, SHARED = 5, 3  # letters of rare words, and how many of them a pair must share beyond chance
FREQUENT = 200  # sequences with a word from which on it says nothing
SURPRISE = 1.5  # standard deviations above chance from which a pair is aligned
PARTNERS = 20  # most surprising partners of a sequence that are aligned
VARIANT = 0.8  # identity, letter by letter, from which two sequences of one length need no alignment
NEAREST = 3  # training sequences with the most words in common that are aligned
BANDS = ((0.95, "95 % or more"), (0.5, "50 to 95 %"), (0.3, "30 to 50 %"), (0.0, "below 30 %"))


class IdentityBands:
    """Names the band of a record by its identity to the nearest training sequence."""

    def fit(self, train: Sequence[Record]) -> Callable[[Record], str]:
        """Return the function from a record to its band; each different sequence is looked up once."""
        known = list(dict.fromkeys(record.input for record in train))
        words = _words(known)

        @cache
        def band(sequence: str) -> str:
            shared = np.asarray((words @ _words([sequence]).T).todense()).ravel()
            nearest = np.argsort(-shared, kind="stable")[:NEAREST]
            found = max(identity(sequence, known[row]) for row in nearest)
            return next((name for low, name in BANDS if found >= low), BANDS[-1][1])

        return lambda record: band(record.input)

    def __call__(self, record: Record) -> str:
        """Without training data every record is as far as can be."""
        return BANDS[-1][1]


bands = IdentityBands()


def similarity(records: Sequence[Record], threshold: float = ALIKE) -> list[tuple[int, int]]:
    """Find all pairs of records of at least this identity.

    Parameters
    ----------
    records
        Their inputs are sequences.
    threshold
        Identity, between 0 and 1.

    Returns
    -------
    list of tuple
        Rows of each pair, the smaller first.

    Raises
    ------
    DataError
        If MMseqs2 is installed and fails.
    """
    sequences = [record.input for record in records]
    program = shutil.which("mmseqs")
    if program:
        return sorted(find_pairs(program, sequences, threshold))
    many = len(sequences) > MANY and threshold >= ALIKE
    pairs = sorted(set(rare_word_pairs(sequences) if many else word_pairs(sequences)))
    return [(one, other) for one, other in pairs if identity(sequences[one], sequences[other]) >= threshold]


def identity(one: str, other: str) -> float:
    """Identical residues of the best local alignment, over the length of the shorter sequence."""
    if len(one) == len(other):  # variants of one protein: no alignment is better, and it would take long
        same = sum(map(str.__eq__, one, other)) / len(one)
        if same >= VARIANT:
            return same
    alignment = next(iter(_aligner().align(_plain(one), _plain(other))), None)
    if alignment is None:
        return 0.0
    return float(alignment.counts().identities) / min(len(one), len(other))


def word_pairs(sequences: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows that share more words than chance explains: rare words where both have nearly all others."""
    full = [row for row, sequence in enumerate(sequences) if len(sequence) > FULL]
    if len(full) > 1:
        yield from ((full[one], full[other]) for one, other in rare_word_pairs([sequences[row] for row in full]))
    known = set(full)
    yield from (pair for pair in candidates(sequences) if not known.issuperset(pair))


def candidates(sequences: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows that share more words than chance explains.

    Two sequences that have nothing to do with each other share a number of words that grows with both their lengths. It
    is taken as Poisson, with a mean that is fitted on all pairs of a block.
    """
    words = _words(sequences)
    sizes = np.asarray(words.sum(1)).ravel()
    for start in range(0, len(sequences), BLOCK):
        shared = np.asarray((words[start : start + BLOCK] @ words.T).todense(), dtype=float)  # (BLOCK, R)
        product = np.outer(sizes[start : start + BLOCK], sizes)
        chance = product * (np.median(shared / np.maximum(product, 1)) + 1e-9)
        surprise = (shared - chance) / np.sqrt(chance + 1)
        surprise[np.arange(len(shared)), start + np.arange(len(shared))] = -np.inf
        kept = min(PARTNERS, len(sequences))
        best = np.argpartition(-surprise, kept - 1, axis=1)[:, :kept]
        rows, columns = np.nonzero(np.take_along_axis(surprise, best, axis=1) > SURPRISE)
        for row, partner in zip(start + rows, best[rows, columns], strict=True):
            yield min(int(row), int(partner)), max(int(row), int(partner))


def rare_word_pairs(sequences: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows that share words of five letters, in a time that grows with their number, not all pairs.

    Of 150 residues at identity 0.5, four to five such words are expected to be shared; unrelated ones share 0.01.
    """
    words = _words(sequences, LONG)
    words.data *= (np.bincount(words.indices, minlength=words.shape[1]) < FREQUENT)[words.indices]
    words.eliminate_zeros()
    sizes, columns = np.asarray(words.sum(1)).ravel(), words.T.tocsr()
    letters = np.stack([np.bincount(letter_numbers(s), minlength=LETTERS) / max(len(s), 1) for s in sequences])
    for start in range(0, len(sequences), 8 * BLOCK):
        shared = (words[start : start + 8 * BLOCK] @ columns).tocoo()
        some = (shared.data >= SHARED) & (shared.row + start < shared.col)
        rows, others, counts = shared.row[some] + start, shared.col[some], shared.data[some]
        expected = sizes[rows] * sizes[others] * (letters[rows] * letters[others]).sum(1) ** LONG
        kept = counts >= SHARED + SHARED * expected
        order = np.lexsort((-counts[kept], rows[kept]))  # of each sequence the most alike first
        rows, others = rows[kept][order], others[kept][order]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        yield from zip(rows[place < PARTNERS].tolist(), others[place < PARTNERS].tolist(), strict=True)


def _words(sequences: Sequence[str], length: int = WORD) -> Any:
    """Which words of so many letters each sequence has: ``(R, 21 ** length)`` sparse zeros and ones."""
    rows = []
    for sequence in sequences:
        letters = letter_numbers(sequence)
        padded = np.pad(letters, (0, max(0, length - len(letters))), constant_values=LETTERS - 1)
        rows.append(
            np.unique(np.lib.stride_tricks.sliding_window_view(padded, length) @ (LETTERS ** np.arange(length)))
        )
    bounds = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    columns = np.concatenate(rows)
    ones = np.ones(len(columns), dtype=np.float32)
    return sparse.csr_matrix((ones, columns, bounds), shape=(len(rows), LETTERS**length))


@cache
def _aligner() -> Any:
    from Bio.Align import PairwiseAligner, substitution_matrices

    aligner = PairwiseAligner(mode="local", open_gap_score=-11, extend_gap_score=-1)
    aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
    return aligner


def _plain(sequence: str) -> str:
    """Replace the letters that BLOSUM62 lacks: selenocysteine by cysteine, pyrrolysine by lysine."""
    return sequence.replace("U", "C").replace("O", "K")
