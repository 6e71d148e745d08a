"""The audit of a run or of files: the checks of the data room, and what needs a vocabulary, a baseline or a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from labtune.catalog import load_catalog, resolve
from labtune.data.audit import Finding, audit
from labtune.data.dataset import load_records
from labtune.data.labels import resolve_labels
from labtune.data.splitting import PARTS
from labtune.errors import SettingsError
from labtune.evaluation.baselines import fitter
from labtune.evaluation.noise import label_noise
from labtune.evaluation.sections import DATA_CHECK, Section, Table
from labtune.folder import write_json
from labtune.parts import build_parts
from labtune.protocols import Batch
from labtune.settings import resolve_settings
from labtune.specs import Labels, Record, Task


def audit_records(
    task: Task,
    records: Mapping[str, Sequence[Record]],
    labels: Labels,
    *,
    tokenised: Mapping[str, Batch] | None = None,
    vocabulary: Any = None,
    extent: str = "full",
) -> list[Finding]:
    """Check the records of a task.

    Parameters
    ----------
    task
        May bring its own similarity.
    records
        By part.
    labels
        With names, where they are known.
    tokenised, vocabulary
        The same records as tokens, and the encoder's tokenizer: to find what it does not know.
    extent
        ``full``; ``quick``, without near duplicates; or ``off``.
    """
    if extent == "off":
        return []
    unknown = unknown_shares(tokenised, vocabulary) if tokenised else None
    similarity = resolve(task.similarity) if task.similarity else None
    return audit(records, labels, unknown=unknown, similarity=similarity, near=extent == "full")


def unknown_shares(tokenised: Mapping[str, Batch], vocabulary: Any) -> np.ndarray | None:
    """Share of each record's tokens that are the unknown token; None where there is no such token."""
    unknown = getattr(vocabulary, "unk_token_id", None)
    if unknown is None or any("input_ids" not in batch.inputs for batch in tokenised.values()):
        return None
    ids = [batch.inputs["input_ids"] for batch in tokenised.values()]
    return np.concatenate([some.with_values((some.values == unknown).float()).mean().numpy() for some in ids])


def save_audit(findings: Sequence[Finding], path: Path) -> None:
    """Write findings as JSON."""
    write_json(path, [asdict(finding) for finding in findings])


def load_audit(path: Path) -> list[Finding]:
    """Read what :func:`save_audit` wrote; nothing where there is no file."""
    if not path.exists():
        return []
    return [Finding(**{**entry, "ids": tuple(entry["ids"])}) for entry in json.loads(path.read_text(encoding="utf-8"))]


def warnings_of(findings: Sequence[Finding]) -> list[str]:
    """Say in a sentence each what has to be looked at."""
    return [f"{finding.message}. {finding.advice}" for finding in findings if finding.severity != "note"]


def audit_sections(findings: Sequence[Finding]) -> list[Section]:
    """Show the findings as a table; nothing when there are none."""
    rows = [[finding.severity, finding.message, finding.advice, ", ".join(finding.ids[:3])] for finding in findings]
    columns = ("severity", "finding", "what to do", "for example")
    return [Table(DATA_CHECK, columns, rows, "Serious: scores will not hold on new data.")] if rows else []


def audit_files(
    task: str,
    files: Sequence[Path],
    *,
    preset: str | None = None,
    sets: Sequence[str] = (),
    extent: str = "full",
    noise: bool = False,
) -> dict[str, Any]:
    """Check files before a run.

    Parameters
    ----------
    task
        A task's name, or a TOML file of settings.
    files
        One: training data; two: training and test; three: training, validation and test.
    preset, sets
        As for a run.
    extent
        See :func:`audit_records`.
    noise
        Look for wrong labels too.

    Returns
    -------
    dict
        ``records`` by part, and ``findings``.

    Raises
    ------
    LabtuneError
        If a file cannot be read.
    """
    if len(files) > len(PARTS):
        raise SettingsError(f"{len(files)} files: give training, validation and test data at most")
    catalog = load_catalog()
    settings = resolve_settings(catalog, task, {"preset": preset}, sets)
    description = catalog.task(settings.task)
    parts = {1: PARTS[:1], 2: (PARTS[0], PARTS[2]), 3: PARTS}[len(files)]
    records = {
        part: load_records(description, file, labelled=True, options=settings.reader)
        for part, file in zip(parts, files, strict=True)
    }
    labels = resolve_labels(description.labels, [record for some in records.values() for record in some])
    built = build_parts(settings, catalog, labels, records["train"])
    tokenised = {part: built.tokenizer(some) for part, some in records.items()}
    findings = audit_records(
        description, records, labels, tokenised=tokenised, vocabulary=built.model.encoder.tokenizer, extent=extent
    )
    if noise:
        everything = [record for some in records.values() for record in some]
        findings += label_noise(everything, labels, fitter(description), seed=settings.seed)
    counts = {part: len(some) for part, some in records.items()}
    return {"task": settings.task, "records": counts, "findings": [asdict(finding) for finding in findings]}
