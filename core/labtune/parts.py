"""Settings and catalog to the parts of a run: tokenizer, model, loss, metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from labtune.catalog import Catalog
from labtune.data.batching import stable_seed
from labtune.encoder.base import Encoder
from labtune.encoder.segments import add_segments
from labtune.encoder.tuned import build_encoder, load_trained, save_trained
from labtune.encoder.vocabulary import learn_characters
from labtune.errors import RunError, SettingsError
from labtune.folder import write_json
from labtune.model import Model, load_head, save_head
from labtune.protocols import Batch, Loss, Metric, Tokenizer
from labtune.settings import Settings
from labtune.specs import Labels, Record, Task

LABELS_FILE = "labels.json"
TOKENIZER_FILE = "tokenizer.json"
ENCODER_FOLDER = "encoder"


@dataclass(frozen=True)
class Parts:
    """What a run is made of; the first metric selects checkpoints."""

    task: Task
    labels: Labels
    tokenizer: Tokenizer
    model: Model
    loss: Loss
    metrics: Sequence[Metric]


def build_parts(
    settings: Settings,
    catalog: Catalog,
    labels: Labels,
    train: Sequence[Record] = (),
    *,
    encoder: Encoder | None = None,
) -> Parts:
    """Build the parts for a training: an encoder, mostly pre-trained, and a fresh head.

    First weights that are random depend on the seed alone. A tokenizer that learns, such as a vocabulary, learns from
    the training records; so does an encoder of text whose vocabulary lacks many of their characters. Kinds of tokens
    that a tokenizer sees and the vocabulary does not become segments. An encoder that is given takes the place of the
    settings' own, and stays as it is.
    """
    with _seeded("encoder", settings):
        built = build_encoder(settings, catalog) if encoder is None else encoder
    parts = _assemble(settings, catalog, labels, built)
    learn: Any = getattr(parts.tokenizer, "fit", None)
    if learn is not None and train:
        learn(train)
    texts: Any = getattr(parts.tokenizer, "texts", None)
    if texts is not None and encoder is None and settings.encoder_options.get("new_characters", True):
        with _seeded("characters", settings):
            learn_characters(built, texts(train))
    kinds: Any = getattr(parts.tokenizer, "kinds", 0)
    if kinds and encoder is None and settings.encoder_options.get("word_shapes", True):
        tokenizer: Any = parts.tokenizer
        tokenizer.first_kind = add_segments(built, kinds)
    return parts


def load_parts(settings: Settings, catalog: Catalog, folder: Path) -> Parts:
    """Build the parts of a finished run from its model folder.

    Raises
    ------
    RunError
        If a file of the model is missing or damaged.
    """
    encoder = load_trained(settings, catalog, folder / ENCODER_FOLDER)
    parts = _assemble(settings, catalog, _read_labels(folder / LABELS_FILE), encoder)
    load_head(parts.model.head, folder)
    restore: Any = getattr(parts.tokenizer, "restore", None)
    if restore is not None:
        restore(_read_json(folder / TOKENIZER_FILE, "what the tokenizer learned"))
    parts.model.eval()
    return parts


def fit_parts(parts: Parts, train: Batch, *, outline: bool = False) -> None:
    """Let encoder, head and loss see the training data, when they want to; an encoder in outline has no numbers."""
    for part in (parts.model.encoder, parts.model.head, parts.loss)[outline:]:
        learn: Any = getattr(part, "fit", None)
        if learn is not None:
            learn(train)


def save_parts(parts: Parts, settings: Settings, folder: Path) -> None:
    """Write a model folder that :func:`load_parts` reads; raises RunError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / LABELS_FILE, asdict(parts.labels))
        save_head(parts.model.head, folder)
        state: Any = getattr(parts.tokenizer, "state", None)
        if state is not None:
            write_json(folder / TOKENIZER_FILE, state())
        save_trained(parts.model.encoder, settings, folder / ENCODER_FOLDER)
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk as its own error
        raise RunError(f"{folder}: cannot write ({error}); free space and go on with --resume") from error


def _assemble(settings: Settings, catalog: Catalog, labels: Labels, encoder: Encoder) -> Parts:
    task = catalog.task(settings.task)

    def build(kind: str, default: str, options: Mapping[str, Any], *args: Any) -> Any:
        chosen = dict(options)
        return catalog.build(kind, chosen.pop("name", default), *args, labels, **chosen)

    with _seeded("head", settings):
        head: nn.Module = build("heads", task.head, settings.head, encoder.width)
        connect: Any = getattr(head, "connect", None)
        if connect is not None:
            connect(encoder)
    needed = getattr(head, "needs_loss", None)
    if needed and settings.loss.get("name", needed) != needed:
        raise SettingsError(f"loss.name is {settings.loss['name']!r}, but this head learns by {needed!r}: leave it out")
    return Parts(
        task=task,
        labels=labels,
        tokenizer=build("tokenizers", task.tokenizer, settings.tokenizer, encoder.tokenizer),
        model=Model(encoder, head, window_overlap=settings.window_overlap),
        loss=build("losses", needed or task.loss, settings.loss),
        metrics=[catalog.build("metrics", name, labels) for name in task.metrics],
    )


@contextmanager
def _seeded(part: str, settings: Settings) -> Iterator[None]:
    """Draw random numbers from the run's seed, and leave the global state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stable_seed(part, settings.seed))
        yield


def _read_labels(path: Path) -> Labels:
    content = _read_json(path, "the labels")
    try:
        return Labels(kind=content["kind"], names=tuple(content["names"]))
    except (TypeError, KeyError) as error:
        raise _damaged(path, "the labels") from error


def _read_json(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, what) from error


def _damaged(path: Path, what: str) -> RunError:
    return RunError(f"{path}: {what} cannot be read; the run folder is damaged")
