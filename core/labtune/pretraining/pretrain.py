"""Pre-training, top to bottom: from files to a corpus, and from an encoder to a better one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labtune.catalog import Catalog, call_target
from labtune.data.batching import stable_seed
from labtune.device import peak_memory_mb, precision_of
from labtune.encoder.base import Encoder
from labtune.encoder.compiling import compile_blocks
from labtune.encoder.fresh import fresh_encoder, token_embeddings
from labtune.encoder.hub import HubEncoder
from labtune.encoder.loading import builds_network, encoder_folder, load_encoder
from labtune.errors import DataError, EncoderError, SettingsError
from labtune.folder import write_json
from labtune.pretraining.building import build_corpus
from labtune.pretraining.corpus import open_corpus
from labtune.pretraining.loop import Loop
from labtune.pretraining.masking import Masking
from labtune.pretraining.objective import MaskedLanguageModel
from labtune.pretraining.outcome import PretrainFolder, load_head, write_encoder
from labtune.pretraining.settings import PretrainSettings
from labtune.processes import start
from labtune.provenance import provenance
from labtune.specs import Labels, Record, Task

LEARNED_FROM = 20_000  # records that a vocabulary is learned from, where the encoder brings none


@dataclass(frozen=True)
class Pretraining:
    """A finished pre-training: its folder, and what ``metrics.json`` says."""

    folder: Path
    metrics: dict[str, Any]


def pretrain(
    settings: PretrainSettings,
    files: Sequence[Path],
    *,
    out: Path,
    catalog: Catalog,
    labelled: Sequence[Path] = (),
    resume: bool = False,
) -> Pretraining:
    """Learn to predict hidden tokens, and leave an encoder folder that ``--encoder`` takes.

    Parameters
    ----------
    settings
        See :class:`PretrainSettings`.
    files
        What the task's reader reads; no labels are needed.
    out
        The folder to make.
    catalog
        What is installed.
    labelled
        Files of which the labels are learned as well, one a token, for tasks that have classes of these.
    resume
        Go on from the latest checkpoint in ``out``.

    Raises
    ------
    LabtuneError
        With one line on what is wrong and what to do next.
    Interrupted
        If the user asked to stop; the folder can be resumed.
    """
    folder = PretrainFolder(out)
    encoder = _encoder(settings, catalog)
    with folder.gone_if_fruitless():
        return _train(settings, files, labelled, folder, encoder, catalog, resume=resume)


def _train(
    settings: PretrainSettings,
    files: Sequence[Path],
    labelled: Sequence[Path],
    folder: PretrainFolder,
    encoder: Encoder,
    catalog: Catalog,
    *,
    resume: bool,
) -> Pretraining:
    accelerator = start(precision_of(settings.precision))
    with accelerator.main_process_first():
        if accelerator.is_main_process:
            folder.claim(settings, files, labelled, resume=resume)
        facts = _corpus(settings, files, labelled, folder, catalog, encoder)
    model = _model(settings, encoder, len(facts.get("labels", ())), catalog).to(accelerator.device)
    if settings.compile:
        compile_blocks(encoder, accelerator.device)
    corpora = {part: open_corpus(folder.corpus, part) for part in ("train", "valid")}
    loop = Loop(settings, model, corpora, _masking(settings, encoder, facts), accelerator)
    curve = loop.run(folder, resume=resume)
    metrics = {
        "settings": asdict(settings),
        "parameters": sum(parameter.numel() for parameter in encoder.parameters()),
        "curve": curve,
        "train": {**asdict(loop.progress), "peak_memory_mb": peak_memory_mb()},
        "data": facts,
        **provenance({}),
    }
    if accelerator.is_main_process:
        write_encoder(encoder, model.head, folder.encoder, settings.storage)
        write_json(folder.metrics, metrics)
    accelerator.wait_for_everyone()
    return Pretraining(folder.path, metrics)


def _model(settings: PretrainSettings, encoder: Encoder, labels: int, catalog: Catalog) -> MaskedLanguageModel:
    """Put a head on the encoder: that of an earlier pre-training if there is one."""
    config = encoder.model.config if isinstance(encoder, HubEncoder) else None
    if settings.pairs != "none" and getattr(config, "type_vocab_size", 0) < 2:
        raise SettingsError(f"encoder {settings.encoder!r} has no segment embeddings: leave pairs at none")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stable_seed("head", settings.seed))
        objectives: dict[str, Any] = {"pairs": settings.pairs != "none", "labels": labels}
        model = MaskedLanguageModel(
            encoder, token_embeddings(encoder), **objectives, label_weight=settings.label_weight
        )
    if settings.weights == "trained":
        load_head(model.head, encoder_folder(settings.encoder, catalog))
    return model


def _encoder(settings: PretrainSettings, catalog: Catalog) -> Encoder:
    if settings.weights == "fresh":
        seed = stable_seed("encoder", settings.seed)
        encoder = fresh_encoder(settings.encoder, catalog, config=settings.config, seed=seed, dropout=settings.dropout)
    elif builds_network(settings.encoder, catalog):
        raise EncoderError(f"encoder {settings.encoder!r} has no trained weights to go on with: add --weights fresh")
    else:
        encoder = load_encoder(settings.encoder, catalog, dropout=settings.dropout)
    token_embeddings(encoder)
    if encoder.tokenizer is not None and encoder.tokenizer.mask_token_id is None:
        raise EncoderError(f"the vocabulary of encoder {settings.encoder!r} has no mask token; choose another")
    if encoder.tokenizer is None and isinstance(encoder, HubEncoder):
        raise EncoderError(f"encoder {settings.encoder!r} has no vocabulary; choose another")
    return encoder


def _corpus(
    settings: PretrainSettings,
    files: Sequence[Path],
    labelled: Sequence[Path],
    folder: PretrainFolder,
    catalog: Catalog,
    encoder: Encoder,
) -> dict[str, Any]:
    """Tokenise the files, with a vocabulary that is learned first if the encoder brings none."""
    task = catalog.task(settings.task)
    options = {**task.options.get("reader", {}), **settings.reader}
    read = partial(call_target, task.reader, what="reader option", **options)
    labels = _labels(settings, task, (read(path, labelled=True) for path in labelled))
    chosen = {**task.options.get("tokenizer", {}), **settings.tokenizer}
    name = chosen.pop("name", task.tokenizer)
    tokenizer = catalog.build("tokenizers", name, encoder.tokenizer, Labels(kind="classes", names=labels), **chosen)
    records = {path: read(path, labelled=path in labelled) for path in (*files, *labelled)}
    if encoder.tokenizer is None:
        drawn = chain.from_iterable(read(path, labelled=False) for path in records)
        encoder.tokenizer = _learned_vocabulary(tokenizer, drawn, settings.seed)
    return build_corpus(folder.corpus, records, tokenizer, len(encoder.tokenizer), settings.valid_share, labels)


def _labels(settings: PretrainSettings, task: Task, files: Iterable[Iterable[Record]]) -> tuple[str, ...]:
    """Names of all labels; there are none if no file has any."""
    names: set[str] = set()
    for records in files:
        if settings.pairs != "none":
            raise SettingsError("labels cannot be learned together with pairs: leave pairs at none")
        if task.labels.kind != "classes":
            raise SettingsError(f"task {task.name!r} has no classes to learn; leave --labelled out")
        for record in records:
            if not isinstance(record.target, list | tuple):
                raise SettingsError(f"task {task.name!r} has one label a record, not one a token; leave --labelled out")
            names.update(name for name in record.target if name is not None)
    return tuple(sorted(names))


def _learned_vocabulary(tokenizer: Any, records: Iterator[Record], seed: int) -> Any:
    """Let a tokenizer learn its vocabulary from records drawn at random from all (algorithm R, Vitter 1985)."""
    learn: Any = getattr(tokenizer, "fit", None)
    if learn is None:
        raise SettingsError("neither the encoder nor the tokenizer has a vocabulary; choose another encoder")
    rng, kept = np.random.default_rng(stable_seed("vocabulary", seed)), list(islice(records, LEARNED_FROM))
    for number, record in enumerate(records, start=len(kept) + 1):
        place = int(rng.integers(number))
        if place < len(kept):
            kept[place] = record
    learn(kept)
    vocabulary: Any = getattr(tokenizer, "vocabulary", None)
    if vocabulary is None:
        raise DataError("pre-training needs tokens, but this task's tokenizer makes features; choose another tokenizer")
    return vocabulary


def _masking(settings: PretrainSettings, encoder: Encoder, facts: dict[str, Any]) -> Masking:
    special = set(encoder.tokenizer.all_special_ids)
    content = sorted(int(token) for token in facts["train"]["counts"] if int(token) not in special)
    spans = settings.masking == "span"
    return Masking(settings.mask_share, spans, encoder.tokenizer.mask_token_id, np.array(content))
