"""Compiled transformer blocks: fewer passes over memory, for some seconds at the first step."""

from __future__ import annotations

import logging

import torch

from labtune.encoder.base import Encoder

log = logging.getLogger(__name__)


def compile_blocks(encoder: Encoder, device: torch.device) -> None:
    """Let torch compile an encoder's blocks in place; those of one shape are compiled once.

    In a block most time on a GPU goes into passes over memory: norms, rotations of positions, changes of precision. A
    compiler joins them. What surrounds the blocks stays as it is, so that batches may differ in their records.

    Parameters
    ----------
    encoder
        Its parameters and their names do not change.
    device
        Where it runs. On a CPU, where compiling takes longer and wins little, nothing is done.
    """
    if device.type != "cuda":
        log.info("blocks are compiled on GPUs alone: going on without")
        return
    for block in encoder.blocks:
        block.compile(dynamic=True)
