"""Letters of protein sequences, and what happens to the rare ones."""

from __future__ import annotations

from dataclasses import dataclass

STANDARD = "ACDEFGHIKLMNPQRSTVWY"
RARE = "BOUXZ"  # Asx, pyrrolysine, selenocysteine, unknown, Glx: letters of their own in every common vocabulary
GAPS = "-."
STOP = "*"
UNKNOWN = "X"
_READ_AS = {"J": UNKNOWN, STOP: UNKNOWN}  # Leu or Ile, and a stop inside the sequence: no vocabulary has them
_KEPT = frozenset(STANDARD + RARE)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A sequence in the letters that encoders know.

    Parameters
    ----------
    sequence
        Upper-case letters of ``STANDARD`` and ``RARE``.
    kept
        For each letter, its position in what was written.
    replaced
        How many letters are read as unknown.
    """

    sequence: str
    kept: tuple[int, ...]
    replaced: int

    @property
    def removed(self) -> bool:
        """Whether any letter was left out."""
        return bool(self.kept) and self.kept[-1] + 1 != len(self.kept)


def clean(written: str) -> Cleaned:
    """Bring a sequence into the letters that encoders know.

    Lower case counts as upper case. Gaps (``-`` and ``.``), blanks and a stop (``*``) at the end are left out. ``J``
    and a stop inside are read as ``X``. ``B``, ``O``, ``U``, ``X`` and ``Z`` stay.

    Raises
    ------
    ValueError
        For any other character; the message names it and its position, counted from 1.
    """
    end = len(written.rstrip(STOP + GAPS + " "))
    letters, kept, replaced = [], [], 0
    for position, symbol in enumerate(written[:end].upper()):
        if symbol in GAPS or symbol.isspace():
            continue
        letter = _READ_AS.get(symbol, symbol)
        if letter not in _KEPT:
            raise ValueError(f"has {written[position]!r} at position {position + 1}, which is no amino acid")
        replaced += letter != symbol
        letters.append(letter)
        kept.append(position)
    return Cleaned("".join(letters), tuple(kept), replaced)
