"""A protein chain with the coordinates of its backbone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# The beta carbon from N, CA and C in ideal geometry, for glycine as well; the usual constants of contact prediction.
_A, _B, _C = -0.58273431, 0.56802827, -0.54067466


@dataclass(frozen=True, eq=False)
class Chain:
    """Residues in sequence order; what was not resolved is NaN.

    Parameters
    ----------
    id
        The chain's name within its file.
    sequence
        One letter a residue, unresolved ones included where the file names them.
    backbone
        N, CA, C and O in ångström: ``(U, 4, 3)``.
    areas
        What water can reach, in square ångström ``(U,)``; NaN where it was not computed.
    """

    id: str
    sequence: str
    backbone: np.ndarray
    areas: np.ndarray | None = None

    @property
    def resolved(self) -> np.ndarray:
        """Which residues have N, CA and C: ``(U,)`` bool."""
        return np.isfinite(self.backbone[:, :3]).all(axis=(1, 2))

    def resolved_text(self) -> str:
        """Write ``1`` for each resolved residue and ``0`` for the others."""
        return "".join("01"[int(known)] for known in self.resolved)

    def beta(self) -> np.ndarray:
        """Beta carbons of ideal geometry: ``(U, 3)``, NaN where the backbone is."""
        n, ca, c = (self.backbone[:, atom] for atom in range(3))
        b, d = ca - n, c - ca
        return _A * np.cross(b, d) + _B * b + _C * d + ca


def distances(points: np.ndarray) -> np.ndarray:
    """Distances between all points ``(U, 3)``: ``(U, U)``, NaN where one is missing."""
    return np.linalg.norm(points[:, None] - points[None], axis=-1)
