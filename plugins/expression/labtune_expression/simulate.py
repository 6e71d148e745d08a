"""Where the bundled samples come from: toy rules with a seed, which show formats and nothing about biology."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from labtune_expression.alphabet import BASES, reverse_complement

MOTIFS = {"TGACTCA": 1.5, "CACGTG": 1.0, "GGGCGG": 0.5, "CCGGAAGT": -1.5}  # effect of one copy, on either strand
BASAL = 5.0
NOISE = 0.2
LENGTH = 60
TYPES = {"alpha": 90, "beta": 60, "gamma": 30}
MARKERS = 8  # genes that mark each type
HOUSEKEEPING = 16


def promoters(records: int, seed: int) -> Iterator[dict[str, str]]:
    """Yield rows of random DNA of 60 letters with up to three motifs planted.

    The expression is 5 plus the effects of :data:`MOTIFS` planted, plus normal noise of deviation 0.2; the class is
    ``high`` above 5.75, ``low`` below 4.25, else ``basal``.
    """
    chance = np.random.default_rng(seed)
    names = list(MOTIFS)
    for number in range(1, records + 1):
        letters = "".join(chance.choice(list(BASES), LENGTH))
        value = BASAL + chance.normal(0, NOISE)
        for slot in range(chance.integers(0, 4)):
            motif = names[chance.integers(len(names))]
            value += MOTIFS[motif]
            planted = motif if chance.random() < 0.5 else reverse_complement(motif)
            start = 20 * slot + int(chance.integers(0, 12))
            letters = letters[:start] + planted + letters[start + len(planted) :]
        name = "high" if value > BASAL + 0.75 else "low" if value < BASAL - 0.75 else "basal"
        yield {"id": f"sim{seed}_{number}", "sequence": letters, "expression": f"{value:.3f}", "class": name}


def cells(seed: int) -> Iterator[dict[str, str]]:
    """Yield rows of gene counts of 180 cells of three types.

    Counts are Poisson; the rate is 1, times 8 in the markers of the cell's type and 5 in housekeeping genes, times the
    cell's depth (log-normal of deviation 0.3).
    """
    chance = np.random.default_rng(seed)
    genes = [f"{name.upper()}{number}" for name in TYPES for number in range(1, MARKERS + 1)]
    genes += [f"HOUSE{number}" for number in range(1, HOUSEKEEPING + 1)]
    types = np.repeat(list(TYPES), list(TYPES.values()))
    for number, name in enumerate(chance.permutation(types), start=1):
        rates = np.ones(len(genes))
        rates[[gene.startswith(name.upper()) for gene in genes]] = 8
        rates[-HOUSEKEEPING:] = 5
        counts = chance.poisson(rates * chance.lognormal(0, 0.3))
        row = {"id": f"cell{number}", "cell_type": str(name)}
        yield {**row, **dict(zip(genes, map(str, counts), strict=True))}
