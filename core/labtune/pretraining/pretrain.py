"""The pre-training loop, top to bottom.

Every step draws its crops and masks from the seed and its own number, so that a resumed training is the same training;
only a schedule that follows the clock (``hours``) cannot be repeated to the bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from labtune.catalog import Catalog, call_target
from labtune.data.batching import stable_seed
from labtune.device import peak_memory_mb, precision_of
from labtune.encoder.base import Encoder
from labtune.encoder.compiling import compile_blocks
from labtune.encoder.fresh import fresh_encoder, token_embeddings
from labtune.encoder.hub import HubEncoder
from labtune.encoder.loading import builds_network, encoder_folder, load_encoder
from labtune.errors import DataError, EncoderError, SettingsError, TrainingError
from labtune.folder import write_json
from labtune.pretraining.corpus import Corpus, build_corpus, open_corpus
from labtune.pretraining.masking import Masked, Masking
from labtune.pretraining.objective import MaskedLanguageModel
from labtune.pretraining.outcome import PretrainFolder, load_head, perplexity, write_encoder
from labtune.pretraining.settings import PretrainSettings
from labtune.processes import start
from labtune.provenance import provenance
from labtune.specs import Labels, Record, Task
from labtune.training.checkpoints import Progress, load_checkpoint, restore_optimizer, save_checkpoint
from labtune.training.interrupts import StopRequest
from labtune.training.journal import Journal
from labtune.training.steps import seed_step

VALID_TOKENS = 1 << 15  # held-out tokens, always the same ones under the same masks
LEARNED_FROM = 20_000  # records that a vocabulary is learned from, where the encoder brings none
BETAS = (0.9, 0.98)  # as RoBERTa: steadier than 0.999 where the loss falls fast


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
    loop = _Loop(settings, model, corpora, _masking(settings, encoder, facts), accelerator)
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


class _Loop:
    """Steps, checkpoints and held-out perplexity."""

    def __init__(
        self,
        settings: PretrainSettings,
        model: MaskedLanguageModel,
        corpora: dict[str, Corpus],
        masking: Masking,
        accelerator: Accelerator,
    ) -> None:
        self.settings = settings
        self.model = model
        self.corpora = corpora
        self.masking = masking
        self.accelerator = accelerator
        self.progress = Progress()
        self.optimizer = _optimizer(model, settings)
        rng = np.random.default_rng(stable_seed("valid", settings.seed))
        self.valid = list(self._masked("valid", rng, settings.crop, VALID_TOKENS))

    def run(self, folder: PretrainFolder, *, resume: bool) -> list[dict[str, float]]:
        """Train to the end and return the curve of held-out perplexity."""
        settings, accelerator = self.settings, self.accelerator
        if resume:
            self._restore(folder)
        total = None if settings.hours else settings.steps
        journal = Journal(folder.log if accelerator.is_main_process else None, total=total, start=self.progress.step)
        curve = folder.curve(self.progress.step)
        wrapped, optimizer = accelerator.prepare(self.model, self.optimizer)
        base, began = self.progress.seconds, time.perf_counter()
        batches = self._draw()
        with StopRequest(folder.path, "pretrain TASK FILE…") as stop:
            while (share := self._share_done()) < 1:
                rate = settings.learning_rate * rate_factor(self.progress.step, share, settings)
                mean = self._step(wrapped, optimizer, rate, batches)
                tokens = sum(len(batch.tokens.values) for batch in batches) * accelerator.num_processes
                self.progress.step += 1
                self.progress.tokens += tokens
                batches = self._draw()  # while an accelerator is still at the step before
                loss = float(mean)
                if not math.isfinite(loss):
                    raise TrainingError(f"the loss is {loss} at step {self.progress.step}; try a smaller learning rate")
                self.progress.seconds = base + time.perf_counter() - began
                journal.step(self.progress.step, loss=loss, learning_rate=rate, tokens=tokens)
                ended = self._share_done() >= 1
                if ended or self.progress.step % settings.valid_every == 0:
                    curve.append(self._score(journal))
                if ended or stop.requested or self.progress.step % settings.checkpoint_every == 0:
                    self._save(folder)
                stop.obey()
        journal.close()
        return curve

    def _share_done(self) -> float:
        """Share of the training that is done; by the clock of the first process when it is the clock that counts."""
        if not self.settings.hours:
            return self.progress.step / self.settings.steps
        share = torch.tensor(self.progress.seconds / (3600 * self.settings.hours), device=self.accelerator.device)
        return float(self.accelerator.reduce(share, "mean"))

    def _crop(self, share: float) -> int:
        return self.settings.long_crop if share >= 1 - self.settings.long_share else self.settings.crop

    def _masked(self, part: str, rng: np.random.Generator, crop: int, tokens: int) -> Iterator[Masked]:
        """Draw and mask batches that add up to a number of tokens."""
        size = self.settings.batch_tokens
        for begin in range(0, tokens, size):
            corpus = self.corpora[part]
            draw = corpus.draw if self.settings.pairs == "none" else corpus.draw_pairs
            yield self.masking(draw(rng, crop=crop, budget=min(size, tokens - begin)), rng)

    def _draw(self) -> list[Masked]:
        """Draw what the next step learns from."""
        settings, accelerator = self.settings, self.accelerator
        place = (settings.seed, self.progress.step, accelerator.process_index)
        rng = np.random.default_rng(stable_seed("pretrain", *place))
        crop = self._crop(self._share_done())
        return list(self._masked("train", rng, crop, settings.step_tokens // accelerator.num_processes))

    def _step(self, model: Any, optimizer: Any, rate: float, batches: Sequence[Masked]) -> Tensor:
        """Learn from one step's batches; the mean loss stays on the device."""
        settings, accelerator = self.settings, self.accelerator
        seed_step(settings.seed, self.progress.step, accelerator.process_index)
        hidden = sum(len(batch.truth) for batch in batches)
        total = torch.zeros((), device=accelerator.device)
        model.train()
        for batch in batches:
            loss = model(batch.to(accelerator.device)) / hidden
            accelerator.backward(loss)
            total += loss.detach()
        accelerator.clip_grad_norm_(self.model.parameters(), settings.clip or math.inf)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        mean: Tensor = accelerator.reduce(total, "mean")
        return mean

    def _score(self, journal: Journal) -> dict[str, float]:
        with self.accelerator.autocast():
            found = perplexity(self.model, (batch.to(self.accelerator.device) for batch in self.valid))
        progress = self.progress
        shares = "".join(f"  {name} {value:.4f}" for name, value in found.items() if name != "perplexity")
        journal.event(
            "valid",
            f"step {progress.step}  perplexity {found['perplexity']:.3f}{shares}",
            step=progress.step,
            tokens=progress.tokens,
            seconds=progress.seconds,
            **found,
        )
        return {"step": progress.step, "tokens": progress.tokens, "seconds": progress.seconds, **found}

    def _save(self, folder: PretrainFolder) -> None:
        if self.accelerator.is_main_process:
            save_checkpoint(folder.checkpoints, self.model.state_dict(), self.optimizer, self.progress)
        self.accelerator.wait_for_everyone()

    def _restore(self, folder: PretrainFolder) -> None:
        found = load_checkpoint(folder.checkpoints)
        if found is not None:
            weights, arrays, scalars, self.progress = found
            self.model.load_state_dict(weights)
            restore_optimizer(self.optimizer, arrays, scalars)


def rate_factor(step: int, share: float, settings: PretrainSettings) -> float:
    """Factor of the learning rate at a step, when a share of the training is done."""
    rising = min((step + 1) / (settings.warmup + 1), 1.0)
    falling = min((1 - share) / settings.cooldown, 1.0) if settings.cooldown else 1.0
    return min(rising, falling)


def _optimizer(model: MaskedLanguageModel, settings: PretrainSettings) -> torch.optim.Optimizer:
    """AdamW; weight decay spares vectors: biases and the gains of norms."""
    parameters = list(model.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=BETAS, fused=True)
