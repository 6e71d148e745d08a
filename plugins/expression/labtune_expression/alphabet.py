"""What a letter of a nucleotide sequence means: the one place for these rules.

Case does not count, and U is T. The eleven letters of IUPAC (NC-IUB 1984, doi:10.1093/nar/13.9.3021) that stand for
several bases stay what they are: a network sees the average of those bases. Everything else (gaps, digits, letters of
proteins) is an error that names the position.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labtune.errors import DataError

BASES = "ACGT"
AMBIGUOUS = {
    "N": "ACGT",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
}
LETTERS = BASES + "".join(AMBIGUOUS)  # a letter's place is its id
UNKNOWN = LETTERS.index("N")
_COMPLEMENT = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")
COMPLEMENTS = tuple(LETTERS.index(letter.translate(_COMPLEMENT)) for letter in LETTERS)

_INVALID = 255
_IDS = np.full(256, _INVALID, dtype=np.uint8)
for _place, _letter in enumerate(LETTERS):
    _IDS[[ord(_letter), ord(_letter.lower())]] = _place
_IDS[[ord("U"), ord("u")]] = LETTERS.index("T")


def encode(sequence: str, where: str) -> NDArray[np.uint8]:
    """Turn a sequence into letter ids ``(T,)``, indices of :data:`LETTERS`.

    Parameters
    ----------
    sequence
        Letters; white space around them is ignored.
    where
        Names the record in messages.

    Raises
    ------
    DataError
        If it is empty or holds something that is no nucleotide.
    """
    if not isinstance(sequence, str):
        raise DataError(f"{where}: the sequence is a {type(sequence).__name__}, not a text")
    letters = sequence.strip()
    if not letters:
        raise DataError(f"{where}: the sequence is empty; remove the record")
    ids = _IDS[np.frombuffer(letters.encode("ascii", "replace"), dtype=np.uint8)]
    if ids.max() == _INVALID:
        place = int((ids == _INVALID).argmax())
        raise DataError(
            f"{where}: {letters[place]!r} at position {place + 1} is no nucleotide; use A, C, G, T, U or IUPAC letters"
        )
    return ids


def normalise(sequence: str, where: str) -> str:
    """Return the sequence in upper case with T for U; raises DataError as :func:`encode` does."""
    return "".join(LETTERS[index] for index in encode(sequence, where))


def reverse_complement(sequence: str) -> str:
    """Return the other strand of a normalised sequence, read in its own direction."""
    return sequence.translate(_COMPLEMENT)[::-1]


def shares() -> NDArray[np.float32]:
    """Share of each base in each letter: ``(15, 4)``, rows in the order of :data:`LETTERS`."""
    table = np.zeros((len(LETTERS), len(BASES)), dtype=np.float32)
    for row, letter in enumerate(LETTERS):
        members = AMBIGUOUS.get(letter, letter)
        table[row, [BASES.index(base) for base in members]] = 1 / len(members)
    return table
