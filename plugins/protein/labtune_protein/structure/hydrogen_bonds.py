"""Backbone hydrogen bonds by their electrostatic energy (Kabsch and Sander 1983, doi:10.1002/bip.360221211)."""

from __future__ import annotations

import numpy as np

from labtune_protein.structure.chains import Chain, distances

COUPLING = 0.084 * 332  # product of the partial charges of C=O and N-H, in kcal Å / mol
STRONGEST = -9.9  # kcal / mol, where atoms come too close
THRESHOLD = -0.5  # kcal / mol; a bond is below it
NEAR = 9.0  # Å between CA; no bond is longer
PEPTIDE = 2.5  # Å between C and N; a longer one is a break of the chain


def connected(chain: Chain) -> np.ndarray:
    """Whether each residue is bound to the one before it: ``(U,)`` bool, False for the first."""
    carbon, nitrogen = chain.backbone[:-1, 2], chain.backbone[1:, 0]
    with np.errstate(invalid="ignore"):
        bound = np.linalg.norm(carbon - nitrogen, axis=-1) <= PEPTIDE
    return np.concatenate([[False], bound])


def hydrogens(chain: Chain) -> np.ndarray:
    """Amide hydrogens, 1 Å from N against the C=O before: ``(U, 3)``, NaN for proline and after a break."""
    carbon, oxygen = chain.backbone[:-1, 2], chain.backbone[:-1, 3]
    direction = carbon - oxygen
    direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    found = np.full((len(chain.sequence), 3), np.nan)
    found[1:] = chain.backbone[1:, 0] + direction
    lacks = ~connected(chain) | (np.array(list(chain.sequence)) == "P")
    found[lacks] = np.nan
    return found


def bonds(chain: Chain) -> np.ndarray:
    """Whether the C=O of residue i is bonded to the N-H of residue j: ``(U, U)`` bool.

    The energy is ``0.084 * 332 * (1/r_ON + 1/r_CH - 1/r_OH - 1/r_CN)`` in kcal / mol, r in ångström. As in DSSP each
    N-H and each C=O keeps only its two strongest bonds.
    """
    nitrogen, alpha, carbon, oxygen = (chain.backbone[:, atom] for atom in range(4))
    hydrogen = hydrogens(chain)

    def inverse(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return 1 / np.maximum(np.linalg.norm(first[:, None] - second[None], axis=-1), 1e-6)

    with np.errstate(invalid="ignore"):
        energy = COUPLING * (
            inverse(oxygen, nitrogen)
            + inverse(carbon, hydrogen)
            - inverse(oxygen, hydrogen)
            - inverse(carbon, nitrogen)
        )
        near = distances(alpha) < NEAR
    energy = np.where(near & np.isfinite(energy), np.maximum(energy, STRONGEST), 0.0)
    index = np.arange(len(energy))
    energy[np.abs(index[:, None] - index[None] + 0.5) < 1] = 0.0  # a residue to itself and to the one after it
    return (energy < THRESHOLD) & _two_strongest(energy, 0) & _two_strongest(energy, 1)


def _two_strongest(energy: np.ndarray, axis: int) -> np.ndarray:
    if energy.shape[axis] <= 2:
        return np.ones_like(energy, dtype=bool)
    limit = np.partition(energy, 1, axis=axis).take([1], axis=axis)
    kept: np.ndarray = energy <= limit
    return kept
