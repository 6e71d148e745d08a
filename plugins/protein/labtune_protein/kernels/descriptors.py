"""Sequences as points, so that near ones are alike: by composition, or by what is substituted where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from Bio.SeqUtils.ProtParamData import kd
from scipy import sparse

from labtune.errors import SettingsError
from labtune_protein.alphabet import STANDARD
from labtune_protein.baselines import LETTERS, letter_numbers

# Å³; Zamyatnin 1972, doi:10.1016/0079-6107(72)90005-3.
VOLUME = {
    "A": 88.6, "R": 173.4, "N": 114.1, "D": 111.1, "C": 108.5, "Q": 143.8, "E": 138.4, "G": 60.1, "H": 153.2,
    "I": 166.7, "L": 166.7, "K": 168.6, "M": 162.9, "F": 189.9, "P": 112.7, "S": 89.0, "T": 116.1, "W": 227.8,
    "Y": 193.6, "V": 140.0,
}  # fmt: skip
KINDS = ("KR", "DE", "FWYH", "VIT", "P", "G")  # charged either way, aromatic, branched at the beta carbon, the two odd
FIRST = (15, 40, 80)  # residues at the start, where signal and transit peptides lie
LENGTH = 0.3  # weight of the length beside one of single letters
PROPERTY = 0.5  # weight of a standardised property beside one of being the same letter


class Descriptor(Protocol):
    """Maps sequences to points ``(R, F)``, dense or sparse, by what it learned from the training sequences."""

    def __call__(self, sequences: Sequence[str]) -> Any:
        """Give the points of some sequences."""
        ...


class Sites:
    """Variants of one protein: a point says which substitutions a sequence has against the most frequent letters.

    Only positions count at which the training sequences differ. Letters are compared as such and by hydropathy, volume
    and kind, so that one substitution tells something of a similar one at the same place.

    Parameters
    ----------
    sequences
        Training sequences of one length. Of others the further letters are not seen, and missing ones are gaps.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        self.width = len(sequences[0])
        letters = self._letters(sequences)
        counts = np.stack([(letters == letter).sum(0) for letter in range(LETTERS)])  # (21, P)
        self.common = counts.argmax(0)
        self.varying = np.flatnonzero((letters != self.common).any(0))
        self.table = _letter_points()

    def __call__(self, sequences: Sequence[str]) -> sparse.csr_matrix:
        """Differences to the common letters: ``(R, V * 27)``, V positions."""
        letters = self._letters(sequences)[:, self.varying]
        common = self.common[self.varying]
        rows, places = np.nonzero(letters != common)
        values = self.table[letters[rows, places]] - self.table[common[places]]  # (D, 27)
        depth = self.table.shape[1]
        columns = places[:, None] * depth + np.arange(depth)
        shape = (len(letters), len(common) * depth)
        return sparse.csr_matrix((values.ravel(), (np.repeat(rows, depth), columns.ravel())), shape=shape)

    def _letters(self, sequences: Sequence[str]) -> np.ndarray:
        found = np.full((len(sequences), self.width), LETTERS - 1)
        for row, sequence in enumerate(sequences):
            known = letter_numbers(sequence)[: self.width]
            found[row, : len(known)] = known
        return found


class Composition:
    """Sequences of any length: shares of letters and of neighbours, of letters at the start, and the length.

    Each of these blocks is scaled to the same spread over the training sequences. Shares enter by their square root,
    which makes distances those of Hellinger.

    Parameters
    ----------
    sequences
        Training sequences.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        blocks = self._blocks(sequences)
        self.centers = [block.mean(0) for block, _ in blocks]
        self.scales = [
            np.sqrt(weight / block.shape[1]) / ((block - center).std() or 1.0)
            for (block, weight), center in zip(blocks, self.centers, strict=True)
        ]

    def __call__(self, sequences: Sequence[str]) -> np.ndarray:
        """Scaled blocks side by side: ``(R, F)``."""
        parts = zip(self._blocks(sequences), self.centers, self.scales, strict=True)
        return np.concatenate([(block - center) * scale for (block, _), center, scale in parts], axis=1)

    @staticmethod
    def _blocks(sequences: Sequence[str]) -> list[tuple[np.ndarray, float]]:
        """Blocks ``(R, …)`` with their weights."""
        rows = [letter_numbers(sequence) for sequence in sequences]
        single = [_shares(row) for row in rows]
        pairs = [_shares(row[:-1] * LETTERS + row[1:], LETTERS**2) for row in rows]
        start = [np.concatenate([_shares(row[:count]) for count in FIRST]) for row in rows]
        length = [[np.log(len(row))] for row in rows]
        blocks = [(single, 1.0), (pairs, 1.0), (start, 1.0), (length, LENGTH)]
        return [(np.array(block), weight) for block, weight in blocks]


DESCRIPTORS: dict[str, Callable[[Sequence[str]], Descriptor]] = {"sites": Sites, "composition": Composition}


def fit_descriptor(name: str, sequences: Sequence[str]) -> Descriptor:
    """Fit a descriptor by name; raises SettingsError for another name."""
    if name not in DESCRIPTORS:
        raise SettingsError(f"head.describe is {name!r}; it is {' or '.join(DESCRIPTORS)}")
    return DESCRIPTORS[name](sequences)


def _letter_points() -> np.ndarray:
    """Each letter as itself, and by its properties: ``(21, 28)``; rare letters have average properties."""
    properties = np.array(
        [[kd[letter], VOLUME[letter], *(letter in kind for kind in KINDS)] for letter in STANDARD], dtype=float
    )
    standard = PROPERTY * (properties - properties.mean(0)) / properties.std(0)
    points = np.concatenate([np.eye(len(STANDARD)), standard], axis=1)
    return np.concatenate([points, np.zeros((1, points.shape[1]))])


def _shares(numbers: np.ndarray, kinds: int = LETTERS) -> np.ndarray:
    """Root of the share of each number below ``kinds``."""
    return np.sqrt(np.bincount(numbers, minlength=kinds) / max(len(numbers), 1))
