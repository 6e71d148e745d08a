"""One run, from files to report: read, split, tokenise, train, score, write.

Everything that can be wrong with the input is found before the run folder is made.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from labtune.catalog import Catalog, load_catalog
from labtune.data.splits import Splits, load_splits
from labtune.device import forget_peak_memory, peak_memory_mb, precision_of
from labtune.encoder.bits import count_parameters
from labtune.encoder.methods.rates import learning_rates
from labtune.evaluation.auditing import audit_records, audit_sections, load_audit, save_audit, warnings_of
from labtune.evaluation.evaluate import Evaluation, Predicted, evaluate, predict_parts
from labtune.evaluation.report import write_report
from labtune.evaluation.sections import to_json
from labtune.folder import RunFolder, claim, finite, write_json, write_text
from labtune.parts import Parts, build_parts, fit_parts, save_parts
from labtune.predictions import prediction_json
from labtune.processes import from_first, rank, start, told_of_losses
from labtune.protocols import Batch
from labtune.provenance import provenance
from labtune.resuming import check_data, choose_settings
from labtune.settings import Settings
from labtune.training.checkpoints import Progress
from labtune.training.frozen import embedded, is_frozen
from labtune.training.interrupts import Interrupted, how_to_go_on
from labtune.training.loop import fit
from labtune.training.sharding import sharded
from labtune.training.training import Training, Watch


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and its scores."""

    folder: Path
    metrics: Mapping[str, Any]


def run(
    task: str | None = None,
    *,
    train: str | Path | None = None,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    catalog: Catalog | None = None,
    **settings: Any,
) -> Run:
    """Fine-tune, evaluate and report.

    Parameters
    ----------
    task
        A task's name, or a TOML file of settings. To resume, it is known already.
    train, valid, test
        Data files. Without any the task's bundled sample is used; with only some, the rest is split off the training
        data.
    out
        Run folder to make; ``runs/TASK-N`` by default.
    resume
        Go on with an interrupted run in ``out``, with the settings that it was started with.
    catalog
        What is installed, when it was loaded before.
    settings
        Any setting of :class:`labtune.settings.Settings`.

    Returns
    -------
    Run
        The folder and what is in its ``metrics.json``.

    Raises
    ------
    LabtuneError
        With one line on what is wrong and what to do next.
    Interrupted
        After Ctrl-C or SIGTERM; the message says how to go on.
    """
    known = catalog or load_catalog()
    files = {name: str(path) for name, path in (("train", train), ("valid", valid), ("test", test)) if path is not None}
    flags = {**settings, **({"data": files} if files else {})}
    folder = Path(out) if out else None
    return run_settings(choose_settings(known, task, flags, [], folder, resume), folder, resume=resume, catalog=known)


def run_settings(
    settings: Settings, out: Path | None = None, *, resume: bool = False, catalog: Catalog | None = None
) -> Run:
    """Run with resolved settings; see :func:`run`."""
    known = catalog or load_catalog()
    with told_of_losses(how_to_go_on(out) if out else "start again"):
        accelerator = start(precision_of(settings.precision))
        folder = from_first(lambda: claim(out, settings.task, resume=resume))
        if folder.metrics.exists():
            return _finished(folder)
        splits = load_splits(known.task(settings.task), settings)
        check_data(folder, splits.sha256)
        parts = build_parts(settings, known, splits.labels, splits.records["train"])
        tokenised = {part: parts.tokenizer(records) for part, records in splits.records.items()}
        fit_parts(parts, tokenised["train"])
        with _whole_or_gone(folder):
            from_first(lambda: _begin(folder, settings, known, splits, parts, tokenised))
            progress = train(settings, parts, tokenised, folder, accelerator, resume=resume)
            budget, device = progress.batch_tokens, accelerator.device
            predicted = predict_parts(parts.model, tokenised, batch_tokens=budget, device=device, seed=settings.seed)
            metrics = from_first(lambda: _conclude(folder, settings, splits, parts, tokenised, progress, predicted))
    return Run(folder.path, metrics)


def train(
    settings: Settings,
    parts: Parts,
    tokenised: Mapping[str, Batch],
    folder: RunFolder,
    accelerator: Accelerator,
    *,
    resume: bool = False,
    watch: Watch | None = None,
) -> Progress:
    """Train what was built, and leave the best weights in it; of the data only training and validation are used."""
    training = Training(
        model=parts.model,
        loss=parts.loss,
        metric=parts.metrics[0],
        train=tokenised["train"],
        valid=tokenised.get("valid"),
        settings=settings,
        rates=learning_rates(parts.model.encoder, parts.model.trainable(), settings),
        checkpoints=folder.checkpoints,
        log=folder.log,
        watch=watch,
    )
    forget_peak_memory()  # what loading needed is another matter
    with _arranged(training, accelerator) as ready:
        return fit(ready, accelerator, resume=resume)


def _arranged(training: Training, accelerator: Accelerator) -> AbstractContextManager[Training]:
    """Choose how the model is held while it learns."""
    if is_frozen(training.model):
        return embedded(training, accelerator)
    return sharded(training, accelerator) if training.settings.shard else nullcontext(training)


def _begin(
    folder: RunFolder,
    settings: Settings,
    catalog: Catalog,
    splits: Splits,
    parts: Parts,
    tokenised: Mapping[str, Batch],
) -> None:
    """Make the folder, say with what it was begun, and check the data; a resumed one keeps that."""
    folder.path.mkdir(parents=True, exist_ok=True)
    facts = folder.facts() or _facts(catalog, splits)
    write_text(folder.settings, settings.to_toml(facts))
    if not folder.split.exists():
        ids = {part: [record.id for record in records] for part, records in splits.records.items()}
        write_json(folder.split, {"hash": splits.fingerprint, **ids})
    if not folder.audit.exists():
        vocabulary = parts.model.encoder.tokenizer
        findings = audit_records(
            parts.task,
            splits.records,
            splits.labels,
            tokenised=tokenised,
            vocabulary=vocabulary,
            extent=settings.audit,
        )
        save_audit(findings, folder.audit)
        for finding in findings:
            print(f"data: {finding.severity}: {finding.message}", file=sys.stderr)


def _conclude(
    folder: RunFolder,
    settings: Settings,
    splits: Splits,
    parts: Parts,
    tokenised: Mapping[str, Batch],
    progress: Progress,
    predicted: Predicted,
) -> dict[str, Any]:
    """Score the predictions and write what the run leaves."""
    found = evaluate(parts, predicted, splits.records, settings)
    findings = load_audit(folder.audit)
    found.sections += audit_sections(findings)
    metrics = _metrics(settings, splits, parts, tokenised, progress, found)
    metrics["warnings"] += warnings_of(findings)
    _write(folder, settings, parts, found, metrics)
    return metrics


def _finished(folder: RunFolder) -> Run:
    """Give what a finished run left, and its page, should the run have died before that."""
    print(f"{folder.path}: this run is finished", file=sys.stderr)
    if not folder.report.exists():
        write_report(folder.path)
    return Run(folder.path, json.loads(folder.metrics.read_text(encoding="utf-8")))


def _facts(catalog: Catalog, splits: Splits) -> dict[str, Any]:
    """What ``run.toml`` says beside the settings."""
    plugins = {plugin.distribution: plugin.version for plugin in catalog.report.plugins if plugin.distribution}
    return {**provenance(plugins), "sha256": dict(splits.sha256), "split": splits.fingerprint}


@contextmanager
def _whole_or_gone(folder: RunFolder) -> Iterator[None]:
    """Take back a folder that a failure left without anything to go on with, and say how to go on with another."""
    existed = from_first(folder.path.exists)
    try:
        yield
    except BaseException as error:
        resumable = any(folder.checkpoints.glob("step-*"))
        if not existed and not resumable and rank() == 0:
            shutil.rmtree(folder.path, ignore_errors=True)
        if type(error) is KeyboardInterrupt and resumable:  # outside the training loop
            raise Interrupted(f"stopped; {how_to_go_on(folder.path)}") from error
        raise


def _metrics(
    settings: Settings,
    splits: Splits,
    parts: Parts,
    tokenised: Mapping[str, Batch],
    progress: Progress,
    found: Evaluation,
) -> dict[str, Any]:
    """Everything that ``metrics.json`` holds."""
    chosen = {name: getattr(settings, name) for name in ("task", "preset", "encoder", "method", "bits", "seed")}
    trainable = sum(parameter.numel() for parameter in parts.model.trainable().values())
    return {
        **chosen,
        "monitor": parts.metrics[0].monitor,
        **found.scores,
        "baseline": found.baseline,
        "baseline_name": found.baseline_name,
        "judged": found.judged,
        "calibration": found.calibration,
        "conformal": found.conformal,
        "slices": found.slices,
        "best_epoch": progress.best_epoch,
        "train": {
            "seconds": progress.seconds,
            "steps": progress.step,
            "epochs": progress.epochs_done,
            "tokens": progress.tokens,
            "tokens_per_second": progress.tokens / max(progress.seconds, 1e-9),
            "peak_memory_mb": peak_memory_mb(),
            "trainable_parameters": trainable,
            "total_parameters": count_parameters(parts.model),
        },
        "predict": found.speed,
        "data": {part: _data_facts(part, splits, parts, data) for part, data in tokenised.items()},
        "split": splits.fingerprint,
        "warnings": list(splits.warnings),
    }


def _data_facts(part: str, splits: Splits, parts: Parts, data: Batch) -> dict[str, Any]:
    limit = parts.model.encoder.limit
    windowed = int((data.tokens.lengths > limit).sum()) if limit else 0
    facts = {"records": len(data), "file": str(splits.files[part]), "sha256": splits.sha256[part]}
    groups = len({record.group for record in data.records} - {None})
    return {
        **facts,
        "groups": groups,
        "tokens": len(data.tokens.values),
        "truncated": 0,
        "windowed": windowed,
        "dropped": splits.dropped.get(part, 0),
    }


def _write(folder: RunFolder, settings: Settings, parts: Parts, found: Evaluation, metrics: Mapping[str, Any]) -> None:
    """Leave the run folder; the scores come last, because they mark it complete."""
    save_parts(parts, settings, folder.model)
    found.confidence.save(folder.model)
    lines = [json.dumps(finite(prediction_json(prediction)), ensure_ascii=False) for prediction in found.predictions]
    write_text(folder.predictions, "".join(line + "\n" for line in lines))
    write_json(folder.sections, [to_json(section) for section in found.sections])
    write_json(folder.metrics, metrics)
    write_report(folder.path)
