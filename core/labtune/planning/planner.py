"""What a training will cost, and what would fit where it does not: before it begins, without reading a weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import psutil
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from labtune.catalog import Catalog, load_catalog
from labtune.data.splits import Splits, load_splits
from labtune.device import precision_of
from labtune.encoder.bits import count_parameters
from labtune.encoder.outline import outline_encoder
from labtune.errors import SettingsError
from labtune.parts import Parts, build_parts, fit_parts
from labtune.planning.choices import flags, lighter, same
from labtune.planning.clock import Duration, estimate
from labtune.planning.footprint import Footprint, activations, before_passes
from labtune.planning.ledger import fake_mode
from labtune.processes import start
from labtune.protocols import Batch
from labtune.settings import Settings

ROOM = 0.95  # share of the memory that a plan may fill
FIRST_STEP = 60_000_000  # bytes that libraries load of themselves at the first step and at the first score
DEEP, TRIED = 6, (2, 4)  # blocks up to which an encoder is tried whole, and how many are tried of a deeper one


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings that differ from the planned ones, and what they need.

    Parameters
    ----------
    changes
        By setting.
    flags
        The same on the command line.
    bytes
        Of memory.
    """

    changes: Mapping[str, Any]
    flags: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Memory and time of a training, in one process.

    Parameters
    ----------
    settings
        Of the training.
    footprint
        What it needs beside the program.
    program
        Bytes of Python, libraries and records; 0 where memory is that of an accelerator.
    limit
        Bytes that there are, or that were given.
    parameters, trainable
        How many weights there are, and how many of them learn.
    duration
        None when it was not asked for.
    instead
        Where it does not fit: what does. The first keeps what is learned from what.
    """

    settings: Settings
    footprint: Footprint
    program: int
    limit: int
    parameters: int
    trainable: int
    duration: Duration | None
    instead: tuple[Candidate, ...]

    @property
    def total(self) -> int:
        """Bytes of everything together."""
        return self.footprint.total + self.program

    @property
    def fits(self) -> bool:
        """Whether that is less than there is."""
        return self.total <= ROOM * self.limit

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON types, sizes in bytes."""
        chosen = {name: getattr(self.settings, name) for name in ("task", "preset", "encoder", "method", "bits")}
        return {
            **chosen,
            "batch_tokens": self.settings.batch_tokens,
            "parameters": self.parameters,
            "trainable_parameters": self.trainable,
            "memory": {**asdict(self.footprint), "program": self.program, "total": self.total},
            "limit": self.limit,
            "fits": self.fits,
            "time": self.duration and asdict(self.duration),
            "instead": [asdict(candidate) for candidate in self.instead],
        }


def plan(
    settings: Settings,
    *,
    catalog: Catalog | None = None,
    memory: int | None = None,
    processes: int = 1,
    timed: bool = True,
) -> Plan:
    """Find out what a training will cost.

    Parameters
    ----------
    settings
        Of the training; its data are read and tokenised.
    catalog
        What is installed, when it was loaded before.
    memory
        Bytes to fit in; what the accelerator or machine has by default.
    processes
        How many there are to be. Memory is that of each, time that of one.
    timed
        Whether to measure a few steps, too.

    Raises
    ------
    LabtuneError
        For whatever would stop the training, except that an encoder's folder needs no weights.
    """
    known = catalog or load_catalog()
    planner = _Planner(known, load_splits(known.task(settings.task), settings), memory or available_memory(), processes)
    return planner.plan(settings, timed=timed)


def program_size() -> int:
    """Bytes of Python, libraries and records, as of this process: now, and once it has made a step."""
    return 0 if torch.cuda.is_available() else psutil.Process().memory_info().rss + FIRST_STEP


def available_memory() -> int:
    """Bytes of the accelerator, else of the machine."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[1])
    return int(psutil.virtual_memory().total)


@dataclass
class _Planner:
    """Plans trainings on the same data."""

    catalog: Catalog
    splits: Splits
    limit: int
    processes: int

    def plan(self, settings: Settings, *, timed: bool) -> Plan:
        parts, mode = self._outline(settings)
        tokenised = {part: parts.tokenizer(records) for part, records in self.splits.records.items()}
        fit_parts(parts, tokenised["train"], outline=True)
        program = program_size()
        found = Plan(
            settings=settings,
            footprint=self._footprint(parts, tokenised, settings, mode),
            program=program,
            limit=self.limit,
            parameters=count_parameters(parts.model),
            trainable=sum(parameter.numel() for parameter in parts.model.trainable().values()),
            duration=self._time(settings, parts, tokenised) if timed else None,
            instead=(),
        )
        return found if found.fits else replace(found, instead=tuple(self._lighter(found, tokenised)))

    def _outline(self, settings: Settings, blocks: int | None = None) -> tuple[Parts, FakeTensorMode]:
        mode = fake_mode()
        encoder = outline_encoder(settings, self.catalog, mode=mode, blocks=blocks)
        train = self.splits.records["train"]
        return build_parts(settings, self.catalog, self.splits.labels, train, encoder=encoder), mode

    def _time(self, settings: Settings, parts: Parts, tokenised: Mapping[str, Batch]) -> Duration:
        encoder = parts.model.encoder
        return estimate(
            tokenised,
            self.splits.labels,
            settings,
            self.catalog,
            start(precision_of(settings.precision)),
            blocks=len(encoder.blocks),
            weights=count_parameters(encoder),
        )

    def _lighter(self, found: Plan, tokenised: Mapping[str, Batch]) -> Iterator[Candidate]:
        """Find at most two ways that fit: one that learns the same, and one that learns less."""
        settings, room = found.settings, ROOM * self.limit - found.program
        hopeless = found.footprint.fixed > room  # then passes may be as small as they like
        for choices in (() if hopeless else same(settings), lighter(settings)):
            for changes in choices:
                needed = self._needed(replace(settings, **changes), tokenised, room)
                if needed is not None:
                    yield Candidate(changes, flags(changes), needed + found.program)
                    break

    def _needed(self, settings: Settings, tokenised: Mapping[str, Batch], room: float) -> int | None:
        """Bytes that a training takes; None if that is more than there is room for, or it cannot be."""
        try:
            parts, mode = self._outline(settings)
        except SettingsError:  # this encoder does not take the method
            return None
        fit_parts(parts, tokenised["train"], outline=True)
        fixed = before_passes(parts, tokenised, settings).among(self.processes, shard=settings.shard)
        if fixed.total > room:
            return None
        needed = self._footprint(parts, tokenised, settings, mode).total
        return needed if needed <= room else None

    def _footprint(
        self, parts: Parts, tokenised: Mapping[str, Batch], settings: Settings, mode: FakeTensorMode
    ) -> Footprint:
        """Try the passes: of a deep encoder at two smaller depths, from which they go on in a straight line."""
        blocks = len(parts.model.encoder.blocks)
        if blocks <= DEEP or "top_blocks" in settings.tuning:
            needed = activations(parts, tokenised, settings, mode)
        else:
            few, more = (self._activations_at(depth, tokenised, settings) for depth in TRIED)
            needed = few + (blocks - TRIED[0]) * (more - few) // (TRIED[1] - TRIED[0])
        found = before_passes(parts, tokenised, settings).with_passes(needed, settings.bits)
        return found.among(self.processes, shard=settings.shard)

    def _activations_at(self, depth: int, tokenised: Mapping[str, Batch], settings: Settings) -> np.ndarray:
        parts, mode = self._outline(settings, depth)
        fit_parts(parts, tokenised["train"], outline=True)
        return activations(parts, tokenised, settings, mode)
