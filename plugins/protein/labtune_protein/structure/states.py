"""Secondary structure from coordinates: patterns of hydrogen bonds (Kabsch and Sander 1983, doi:10.1002/bip.360221211).

The eight states in DSSP's order of precedence: H, E and B, G, I, T, S, and C for everything else; as in the first DSSP
a pi helix is only what nothing else claims.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from labtune_protein.structure.chains import Chain
from labtune_protein.structure.hydrogen_bonds import bonds, connected

BEND = 70.0  # degrees between the directions of four residues before and after
UNRESOLVED = "X"


def assign(chain: Chain) -> str:
    """Return one of ``HBEGITSC`` a residue, and X for residues without backbone.

    Parameters
    ----------
    chain
        One chain; bonds to other chains are not seen, so strands that pair only with them count as coil.
    """
    bonded = bonds(chain)
    segment = np.cumsum(~connected(chain))  # residues of one unbroken piece share a number
    states = np.full(len(chain.sequence), "C")
    states[_bends(chain, segment)] = "S"
    turns = {size: _turns(bonded, segment, size) for size in (3, 4, 5)}
    for size, start in turns.items():
        for position in np.flatnonzero(start):
            states[position + 1 : position + size] = "T"
    sheet, bridge = _bridges(bonded, segment)
    states[bridge] = "B"
    states[sheet] = "E"
    _put_helices(states, turns[4], 4, "H", replaceable="")
    for size, letter in ((3, "G"), (5, "I")):
        _put_helices(states, turns[size], size, letter, replaceable="TSC")
    states[~chain.resolved] = UNRESOLVED
    return "".join(states)


def _turns(bonded: np.ndarray, segment: np.ndarray, size: int) -> np.ndarray:
    """Where an n-turn starts: the C=O of a residue is bonded to the N-H ``size`` further, ``(U - size,)`` bool."""
    if len(segment) <= size:
        return np.zeros(0, dtype=bool)
    found: np.ndarray = np.diagonal(bonded, size) & (segment[size:] == segment[:-size])
    return found


def _put_helices(states: np.ndarray, turns: np.ndarray, size: int, letter: str, *, replaceable: str) -> None:
    """Two turns in a row make a helix of ``size`` residues; a helix is put only where all of it may be replaced."""
    for position in np.flatnonzero(turns[1:] & turns[:-1]) + 1:
        window = slice(position, position + size)
        if not replaceable or all(state in replaceable + letter for state in states[window]):
            states[window] = letter


def _bridges(bonded: np.ndarray, segment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residues in ladders of two or more bridges, and residues in a bridge of its own: two ``(U,)`` bool."""
    size = len(segment)
    ladders, lone = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    for matrix, step in ((_parallel(bonded, segment), 1), (_antiparallel(bonded, segment), -1)):
        for first, second in np.argwhere(matrix):
            partners = ((first + 1, second + step), (first - 1, second - step))
            long = any(0 <= i < size and 0 <= j < size and matrix[i, j] for i, j in partners)
            (ladders if long else lone)[[first, second]] = True
        _fill_bulges(matrix, step, ladders)
    return ladders, lone & ~ladders


def _fill_bulges(matrix: np.ndarray, step: int, ladders: np.ndarray) -> None:
    """Join bridges over a bulge: at most one residue more on one strand and four more on the other."""
    for first, second in np.argwhere(matrix):
        for i, j in _beyond(first, second, step):
            if 0 <= i < len(matrix) and 0 <= j < len(matrix) and matrix[i, j]:
                ladders[first : i + 1] = True
                ladders[min(second, j) : max(second, j) + 1] = True


def _beyond(first: int, second: int, step: int) -> Iterator[tuple[int, int]]:
    for short, long in ((1, 2), (2, 2), (1, 3), (2, 3), (1, 4), (2, 4), (1, 5), (2, 5)):
        yield first + short, second + step * long
        yield first + long, second + step * short


def _inner(segment: np.ndarray) -> np.ndarray:
    """Residues whose two neighbours are bound to them: ``(U,)`` bool."""
    inner = np.zeros(len(segment), dtype=bool)
    inner[1:-1] = (segment[:-2] == segment[2:]) if len(segment) > 2 else False
    return inner


def _shifted(matrix: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Element ``[i, j]`` is ``matrix[i + rows, j + columns]``, False beyond the edge."""
    size = len(matrix)
    padded = np.pad(matrix, 1)
    return padded[1 + rows : 1 + rows + size, 1 + columns : 1 + columns + size]


def _parallel(bonded: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Bridge of i and j: CO(i-1)-NH(j) and CO(j)-NH(i+1), or CO(j-1)-NH(i) and CO(i)-NH(j+1)."""
    one = _shifted(bonded, -1, 0) & _shifted(bonded.T, 1, 0)
    return _allowed(one | one.T, segment)


def _antiparallel(bonded: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Bridge of i and j: CO(i)-NH(j) and CO(j)-NH(i), or CO(i-1)-NH(j+1) and CO(j-1)-NH(i+1)."""
    crossed = _shifted(bonded, -1, 1)
    return _allowed((bonded & bonded.T) | (crossed & crossed.T), segment)


def _allowed(matrix: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Bridges only of inner residues at least three apart."""
    index = np.arange(len(matrix))
    inner = _inner(segment)
    apart = np.abs(index[:, None] - index[None]) >= 3
    found: np.ndarray = matrix & apart & inner[:, None] & inner[None]
    return found


def _bends(chain: Chain, segment: np.ndarray) -> np.ndarray:
    """Residues where the chain bends by more than 70 degrees over four residues: ``(U,)`` bool."""
    alpha = chain.backbone[:, 1]
    bent = np.zeros(len(segment), dtype=bool)
    if len(segment) < 5:
        return bent
    before, after = alpha[2:-2] - alpha[:-4], alpha[4:] - alpha[2:-2]
    lengths = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
    with np.errstate(invalid="ignore"):
        angle = np.degrees(np.arccos(np.clip((before * after).sum(-1) / lengths, -1, 1)))
        bent[2:-2] = (angle > BEND) & (segment[4:] == segment[:-4])
    return bent
