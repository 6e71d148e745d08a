"""Checkpoints: everything a run needs to go on as if it had never stopped, without pickle.

A checkpoint is a folder ``step-00001234`` of safetensors files and ``state.json``, which holds the progress and the
SHA-256 of every other file and of itself. It is written beside and renamed, so that it is whole or absent; a damaged
one is noticed by its hashes and the one before is used.

Random states are not saved: every step seeds its own from the run's seed and its number, see
:func:`labtune.training.loop.seed_step`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from labtune.errors import RunError
from labtune.training.sharding import like, whole

log = logging.getLogger(__name__)
STATE_FILE = "state.json"
KEPT = 2  # the latest, and one before it in case the latest is damaged


@dataclass
class Progress:
    """How far a run is: ``step`` counts optimiser steps done; ``best_score`` is None before the first epoch."""

    step: int = 0
    epochs_done: int = 0
    best_score: float | None = None
    best_epoch: int | None = None
    epochs_without_gain: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    stopped_early: bool = False
    batch_tokens: int = 0  # what memory has left of the settings' budget

    def add(self, loss: float, tokens: int, seconds: float, batch_tokens: int) -> None:
        """Count an optimiser step."""
        self.step += 1
        self.loss_sum += loss
        self.loss_steps += 1
        self.tokens += tokens
        self.seconds += seconds
        self.batch_tokens = batch_tokens


def save_checkpoint(
    folder: Path,
    weights: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    *,
    writer: bool = True,
) -> Path:
    """Write a checkpoint under ``folder`` and drop all but the last two.

    Where processes share the optimiser's state out, all of them call it, and one is the writer.
    """
    target = folder / f"step-{progress.step:08d}"
    arrays, scalars = _optimizer_state(optimizer)
    if not writer:
        return target
    files = {"weights.safetensors": dict(weights), "optimizer.safetensors": arrays}
    write_folder(target, files, {"progress": asdict(progress), "optimizer": scalars})
    for old in [*sorted(folder.glob("step-*"))[:-KEPT], *folder.glob(".step-*")]:
        shutil.rmtree(old)
    return target


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any], Progress] | None:
    """Read the latest whole checkpoint: weights, optimiser arrays, optimiser scalars, progress.

    Returns None when there is none at all. A damaged one is skipped with a warning.

    Raises
    ------
    RunError
        If there are checkpoints and every one is damaged.
    """
    candidates = sorted(folder.glob("step-*"), reverse=True)
    for candidate in candidates:
        content = read_folder(candidate)
        if content is None:
            log.warning("%s is damaged; using the checkpoint before it", candidate)
            continue
        tensors, state = content
        progress = Progress(**state["progress"])
        return tensors["weights.safetensors"], tensors["optimizer.safetensors"], state["optimizer"], progress
    if candidates:
        raise RunError(f"{folder}: every checkpoint is damaged; start again without --resume")
    return None


def restore_optimizer(
    optimizer: torch.optim.Optimizer, arrays: Mapping[str, Tensor], scalars: Mapping[str, Any]
) -> None:
    """Put a saved state into a fresh optimiser over the same parameters."""
    state: dict[int, dict[str, Any]] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for key, tensor in arrays.items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        state.setdefault(int(index), {})[name] = like(parameter, tensor) if tensor.dim() else tensor
    for key, value in scalars.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def write_folder(target: Path, files: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Write safetensors files and their hashes beside ``target``, then rename into place."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name, tensors in files.items():
            save_file({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}, partial / name)
        content = {**state, "files": {name: _sha256(partial / name) for name in files}}
        (partial / STATE_FILE).write_text(json.dumps({**content, "sha256": _digest(content)}))
        _sync(*partial.iterdir(), partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        _sync(target.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RunError(f"{target}: cannot write ({reason}); free space and go on with --resume") from error


def read_folder(folder: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """Read what :func:`write_folder` wrote; None when anything of it is damaged or missing."""
    try:
        state = json.loads((folder / STATE_FILE).read_text())
        whole = state.pop("sha256") == _digest(state) and all(
            _sha256(folder / name) == digest for name, digest in state["files"].items()
        )
        return ({name: load_file(folder / name) for name in state["files"]}, state) if whole else None
    except (OSError, ValueError, KeyError):
        return None


def _optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    arrays: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    seen: set[int] = set()
    for index, parameter in enumerate(parameters):
        for name, value in optimizer.state.get(parameter, {}).items():
            if not isinstance(value, Tensor):
                scalars[f"{index}.{name}"] = value
                continue
            value = whole(value)
            # 8-bit optimisers share tables between parameters, and safetensors takes no tensor twice.
            arrays[f"{index}.{name}"] = value.clone() if value.data_ptr() in seen else value
            seen.add(value.data_ptr())
    return arrays, scalars


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _sync(*paths: Path) -> None:
    """Have files and folders on the disk before anything that builds on them."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
