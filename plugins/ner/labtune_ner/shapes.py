"""Shapes of words: the case that an uncased vocabulary loses, and by which names are often known."""

from __future__ import annotations

SHAPES = ("Capitalised", "UPPER", "miXed", "I")  # numbered from 1; 0 is a word without a capital


def shape_of(word: str) -> int:
    """Number a word's shape: 0 without a capital, else one more than its place in ``SHAPES``.

    A word with a single letter says little by its case, at the start of a sentence as well as in initials, and has a
    shape of its own.
    """
    letters = [character for character in word if character.isalpha()]
    capitals = sum(letter.isupper() for letter in letters)
    if not capitals:
        return 0
    if len(letters) == 1:
        return 4
    if capitals == len(letters):
        return 2
    return 1 if capitals == 1 and letters[0].isupper() else 3
