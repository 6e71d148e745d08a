"""Which records make an optimiser step, and how a step is cut into batches that fit in memory.

A step is a number of records, fixed by the settings; a batch is what one forward pass takes, limited by tokens. So the
memory at hand never changes what is learned from what: only how the step is cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def stable_seed(*parts: object) -> int:
    """Mix values into a 63-bit seed that is the same on every machine and in every process."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def epoch_steps(records: int, batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Shuffle the records of an epoch into optimiser steps.

    Parameters
    ----------
    records
        Number of training records.
    batch_size
        Records a step; the last step takes what is left.
    seed, epoch
        Every epoch has its own order, known from these two alone.

    Returns
    -------
    list of array
        Row numbers of each step. Every record is in exactly one.
    """
    order = np.random.default_rng(stable_seed("epoch", seed, epoch)).permutation(records)
    return [order[start : start + batch_size] for start in range(0, records, batch_size)]


def token_batches(rows: Sequence[int] | np.ndarray, lengths: np.ndarray, budget: int) -> list[list[int]]:
    """Cut rows into batches of at most ``budget`` tokens, longest records first.

    A record longer than the budget makes a batch of its own. Longest first shows at once whether a batch fits in
    memory, and puts records of near-equal length together.

    Parameters
    ----------
    rows
        Row numbers.
    lengths
        Tokens of every record of the data set.
    budget
        Tokens a batch.
    """
    batches: list[list[int]] = []
    filled = budget + 1
    for row in sorted((int(row) for row in rows), key=lambda row: (-int(lengths[row]), row)):
        length = int(lengths[row])
        if filled + length > budget:
            batches.append([])
            filled = 0
        batches[-1].append(row)
        filled += length
    return batches


def shares(rows: Sequence[int] | np.ndarray, lengths: np.ndarray, processes: int) -> list[list[int]]:
    """Deal the rows of a step to processes, so that each gets about the same number of tokens.

    Longest first, each to the process that has least; ties to the lowest number. A process may get none.
    """
    dealt: list[list[int]] = [[] for _ in range(processes)]
    load = [0] * processes
    for row in sorted((int(row) for row in rows), key=lambda row: (-int(lengths[row]), row)):
        least = load.index(min(load))
        dealt[least].append(row)
        load[least] += int(lengths[row])
    return dealt
