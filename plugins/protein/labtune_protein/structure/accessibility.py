"""How much of each residue water can reach, relative to the most that its kind can have."""

from __future__ import annotations

import numpy as np

from labtune_protein.structure.chains import Chain

# Square ångström; theoretical values of Tien et al. 2013, doi:10.1371/journal.pone.0080635.
LARGEST = {
    "A": 129.0, "R": 274.0, "N": 195.0, "D": 193.0, "C": 167.0, "Q": 225.0, "E": 223.0, "G": 104.0, "H": 224.0,
    "I": 197.0, "L": 201.0, "K": 236.0, "M": 224.0, "F": 240.0, "P": 159.0, "S": 155.0, "T": 172.0, "W": 285.0,
    "Y": 263.0, "V": 174.0,
}  # fmt: skip


def relative_accessibility(chain: Chain) -> list[float | None]:
    """Return one number a residue; None where the residue is unresolved or of no standard kind.

    Values above 1 occur at the ends of chains and are kept.
    """
    if chain.areas is None:
        return [None] * len(chain.sequence)
    return [
        round(float(area) / LARGEST[letter], 4) if letter in LARGEST and np.isfinite(area) else None
        for letter, area in zip(chain.sequence, chain.areas, strict=True)
    ]
