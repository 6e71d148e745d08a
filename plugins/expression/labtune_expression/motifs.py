"""Known motifs as a network's first detectors, so that few sequences are enough to learn which of them matter."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labtune.errors import DataError, SettingsError
from labtune_expression.alphabet import BASES

FORMATS = {".meme": "minimal", ".jaspar": "jaspar", ".pfm": "jaspar", ".transfac": "transfac"}
DATABASE = "JASPAR"
RARE = 0.01  # added to each share of a base, so that its logarithm is finite
STEEPNESS = 0.3  # of a detector, in units of its motif's log odds
THRESHOLD = 0.4  # share of the best possible match from which on a detector answers


def read_motifs(source: str) -> list[NDArray[np.float32]]:
    """Read motifs as log odds ``(4, T)`` in bits against equally frequent bases, rows in the order A, C, G, T.

    Parameters
    ----------
    source
        A file in MEME's minimal, JASPAR's or TRANSFAC's format, by its suffix; or ``JASPAR2026/fungi``: the latest
        matrices of a group of the collection CORE, as the package pyjaspar brings them.

    Raises
    ------
    SettingsError
        If a package is missing, or there is no such release or group.
    DataError
        If the file cannot be read.
    """
    shares = _database(source) if source.startswith(DATABASE) else _file(Path(source))
    return [np.log2((share + RARE) / (1 + 4 * RARE) * 4).astype(np.float32) for share in shares]


def detectors(motifs: list[NDArray[np.float32]], length: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights ``(M, 4, length)`` and biases ``(M,)`` of detectors that answer to motifs.

    A shorter motif lies in the middle; of a longer one the part that says most is taken.
    """
    weights = np.zeros((len(motifs), len(BASES), length), dtype=np.float32)
    for weight, odds in zip(weights, motifs, strict=True):
        part = _core(odds, length)
        start = (length - part.shape[1]) // 2
        weight[:, start : start + part.shape[1]] = STEEPNESS * part
    return weights, -THRESHOLD * weights.max(1).sum(1)


def _core(odds: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    surplus = odds.shape[1] - length
    if surplus <= 0:
        return odds
    information = (2.0**odds / 4 * odds).sum(0)  # bits of each position
    windows = np.convolve(information, np.ones(length), "valid")
    return odds[:, int(windows.argmax()) : int(windows.argmax()) + length]


def _file(path: Path) -> Iterator[NDArray[np.float64]]:
    motifs = _package("Bio.motifs", "biopython")
    if path.suffix not in FORMATS:
        raise SettingsError(f"known motifs are read from {', '.join(FORMATS)} or JASPAR2026/GROUP, not {str(path)!r}")
    try:
        with path.open(encoding="utf-8") as file:
            found = list(motifs.parse(file, FORMATS[path.suffix]))
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: motifs cannot be read as {FORMATS[path.suffix]} ({error})") from error
    if not found:
        raise DataError(f"{path}: there is no motif in it")
    yield from map(_shares, found)


def _database(source: str) -> Iterator[NDArray[np.float64]]:
    release, _, group = source.partition("/")
    pyjaspar = _package("pyjaspar", "pyjaspar")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that nothing was found is told below
            found = pyjaspar.jaspardb(release=release).fetch_motifs(collection="CORE", tax_group=[group])
    except Exception as error:  # the library lets its database's and parsers' errors through
        raise SettingsError(f"known motifs {source!r} cannot be fetched: {error}") from error
    if not found:
        raise SettingsError(f"{release} has no group {group!r}; groups are fungi, plants, vertebrates, insects, …")
    yield from map(_shares, found)


def _shares(motif: Any) -> NDArray[np.float64]:
    counts = np.array([motif.counts[base] for base in BASES], dtype=float)  # (4, T)
    return counts / counts.sum(0)


def _package(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise SettingsError(f"known motifs need {name}; pip install 'labtune-expression[motifs]'") from None
