"""Predict and evaluate with a finished run: in Python, and from file to file in bounded memory."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labtune.catalog import Catalog, call_target, load_catalog, resolve
from labtune.data.dataset import load_records, sha256_of
from labtune.data.labels import check_labels
from labtune.device import give_back_memory, precision_of
from labtune.errors import DataError, RunError
from labtune.evaluation.confidence import Confidence
from labtune.evaluation.scoring import score
from labtune.folder import RunFolder
from labtune.inference import predict_rows
from labtune.parts import Parts, load_parts
from labtune.predictions import prediction_json
from labtune.processes import count, gathered, rank, start, told_of_losses
from labtune.settings import Layer, Settings, read_setting
from labtune.specs import Prediction, Record

CHUNK = 4096  # records in memory at once
CHUNK_SIZE = 2**19  # letters, words or the like in memory at once, of records that have a length


@dataclass(frozen=True)
class Predictor:
    """A trained model that is ready to predict; :func:`load` makes one.

    Parameters
    ----------
    settings
        Of the run.
    parts
        Tokenizer, model and the rest.
    device
        Where the model is.
    confidence
        Calibration and thresholds, as found by the run.
    """

    settings: Settings
    parts: Parts
    device: str = "cpu"
    confidence: Confidence = field(default_factory=Confidence)

    def at(self, coverage: float) -> Predictor:
        """Return the same predictor with sets and intervals of another coverage; 0 makes none.

        Raises
        ------
        SettingsError
            If it is not a share below 1.
        RunError
            If the run keeps no thresholds for it.
        """
        settings = replace(self.settings, coverage=read_setting("coverage", Layer("coverage", {"coverage": coverage})))
        if settings.coverage and self.confidence.conformal is not None:
            self.confidence.conformal.at(settings.coverage)
        return replace(self, settings=settings)

    def predict(self, inputs: Iterable[Any]) -> list[Prediction]:
        """Predict inputs in the form of the task (texts, lists of words, sequences, …) or records.

        Returns
        -------
        list of Prediction
            One an input, in order; inputs that are no records are numbered from 1.
        """
        return list(self.stream(_as_records(inputs)))

    def stream(self, records: Iterable[Record]) -> Iterator[Prediction]:
        """Predict records as they come, in order, a chunk at a time; processes tokenise and predict a share each."""
        for chunk in chunks(records):
            share = range(rank(), len(chunk), count())
            mine = self._predict_alone([replace(chunk[row], target=None) for row in share])
            everything = gathered(dict(zip(share, mine, strict=True)))
            predictions = [everything[row] for row in range(len(chunk))]
            yield from self.confidence.mark(predictions, self.parts.labels, self.settings.coverage)
            give_back_memory()  # holes between blocks would grow from chunk to chunk

    def _predict_alone(self, records: Sequence[Record]) -> list[Prediction]:
        if not records:  # there are fewer than processes
            return []
        data = self.parts.tokenizer(records)
        found = predict_rows(
            self.parts.model,
            data,
            range(len(data)),
            batch_tokens=self.settings.batch_tokens,
            device=self.device,
            adjust=self.confidence.calibration,
        )
        return [found[row] for row in range(len(data))]


def load(run: str | Path, *, catalog: Catalog | None = None) -> Predictor:
    """Load the model of a finished run.

    Raises
    ------
    RunError
        If the folder is missing, unfinished or damaged.
    PluginError
        If the task's plugin is not installed.
    """
    folder = RunFolder(Path(run))
    folder.require_complete()
    settings = Settings.from_toml(folder.settings)
    parts = load_parts(settings, catalog or load_catalog(), folder.model)
    accelerator = start(precision_of(settings.precision))
    model: Any = accelerator.prepare_model(parts.model, evaluation_mode=True)
    confidence = Confidence.load(folder.model)
    return Predictor(settings, replace(parts, model=model), str(accelerator.device), confidence)


def predict_file(
    run: str | Path, file: str | Path, out: str | Path | None = None, *, coverage: float | None = None
) -> dict[str, Any]:
    """Predict a file, labelled or not, in its order; several processes share every chunk.

    Parameters
    ----------
    run
        Run folder.
    file
        In any format that the task reads.
    out
        File to write, JSON lines unless the task has a writer for its suffix; ``FILE.predictions.jsonl`` beside the
        input by default.
    coverage
        Of the sets and intervals, if not the run's own; 0 makes none.

    Returns
    -------
    dict
        ``out``, ``records``, ``seconds`` and ``records_per_second``.
    """
    target = Path(out) if out else Path(file).with_name(f"{Path(file).name}.predictions.jsonl")
    with told_of_losses("predict again"):
        predictor = load(run)
        if coverage is not None:
            predictor = predictor.at(coverage)
        reader, options = predictor.parts.task.reader, predictor.settings.reader
        records = call_target(reader, Path(file), what="reader option", labelled=False, **options)
        name = predictor.parts.task.writers.get(target.suffix.lower())
        write = resolve(name) if name else write_lines
        began = time.perf_counter()
        predictions = _Counted(predictor.stream(records))
        with _written_whole(target) as partial:
            if partial is None:
                deque(predictions, maxlen=0)
            else:
                write(predictions, Path(file), partial)
            if not predictions.count:
                raise DataError(f"{file}: no record found; give a file with at least one")
    records_done, seconds = predictions.count, time.perf_counter() - began
    rate = records_done / max(seconds, 1e-9)
    return {"out": str(target), "records": records_done, "seconds": seconds, "records_per_second": rate}


def evaluate_file(run: str | Path, file: str | Path) -> dict[str, Any]:
    """Score a labelled file.

    Returns
    -------
    dict
        ``scores`` (name to value and interval), ``records`` and ``sha256`` of the file.
    """
    predictor = load(run)
    parts = predictor.parts
    records = load_records(parts.task, Path(file), labelled=True, options=predictor.settings.reader)
    check_labels(parts.labels, records, "given")
    predictions = predictor.predict(records)
    scores = score(parts.metrics, predictions, records, seed=predictor.settings.seed)
    return {"task": parts.task.name, "scores": scores, "records": len(records), "sha256": sha256_of(file)}


def chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Cut a stream where as many records or as long ones are together as memory is to hold; each chunk has one."""
    chunk: list[Record] = []
    held = 0
    for record in records:
        size = len(record.input) if isinstance(record.input, Sized) else 1
        if chunk and (len(chunk) == CHUNK or held + size > CHUNK_SIZE):
            yield chunk
            chunk, held = [], 0
        chunk.append(record)
        held += size
    if chunk:
        yield chunk


def _as_records(inputs: Iterable[Any]) -> Sequence[Record]:
    return [
        item if isinstance(item, Record) else Record(id=str(number), input=item)
        for number, item in enumerate(inputs, start=1)
    ]


class _Counted:
    """Predictions as they come, and how many came."""

    def __init__(self, predictions: Iterator[Prediction]) -> None:
        self.predictions = predictions
        self.count = 0

    def __iter__(self) -> Iterator[Prediction]:
        for prediction in self.predictions:
            self.count += 1
            yield prediction


def write_lines(predictions: Iterable[Prediction], file: Path, out: Path) -> None:
    """Write JSON lines."""
    with out.open("w", encoding="utf-8") as stream:
        for prediction in predictions:
            stream.write(json.dumps(prediction_json(prediction), ensure_ascii=False) + "\n")


@contextmanager
def _written_whole(target: Path) -> Iterator[Path | None]:
    """Give a path beside that is renamed, so that nobody sees half a file; only the first process has one to write."""
    if rank() != 0:
        yield None
        return
    partial = target.with_name(f".{target.name}.partial")
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"{target}: cannot write ({reason}); free space, or choose another place with -o") from error
    finally:
        partial.unlink(missing_ok=True)
