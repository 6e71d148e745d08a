"""What the speed benchmarks train: a task, an encoder, some records, and the same for the peer."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import peers
import torch
from transformers import pipeline

from labtune.catalog import Catalog, load_catalog
from labtune.data.splits import load_splits
from labtune.encoder.fresh import fresh_encoder
from labtune.encoder.methods.rates import learning_rates
from labtune.encoder.minilm import locate
from labtune.inference import predict
from labtune.parts import Parts, build_parts, fit_parts
from labtune.processes import start
from labtune.protocols import IGNORED, Batch
from labtune.settings import Settings, resolve_settings
from labtune.specs import Labels, Record
from labtune.training.loop import fit
from labtune.training.training import Training

CONLL = "text/conll2003_en"
FLIP = "bio/flip_secondary_structure"
# ESM-2's architecture at two sizes (Lin et al. 2023); weights are random, which speed does not depend on.
ESM2_8M = {"num_hidden_layers": 6, "hidden_size": 320, "intermediate_size": 1280, "num_attention_heads": 20}
ESM2_650M = {"num_hidden_layers": 33, "hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20}
UNCUT = 1000  # letters or words up to which neither side cuts a record
FILES = {
    "conll2003": {part: f"{CONLL}/{part}.txt" for part in ("train", "valid", "test")},
    "phrasebank": {"train": "text/financial_phrasebank/Sentences_AllAgree.txt"},
    "secondary_structure": {
        "train": f"{FLIP}/train.sequences.fasta",
        "valid": f"{FLIP}/val.sequences.fasta",
        "test": f"{FLIP}/val.sequences.fasta",
    },
}
TASKS = {
    "conll2003": ("ner.conll2003", {}),
    "phrasebank": ("finance.sentiment", {}),
    "secondary_structure": ("protein.secondary_structure", {"method": "full", "head": {"name": "token"}}),
}


@dataclass(frozen=True)
class Case:
    """Parts that are built and records that are tokenised, once for all rounds.

    Parameters
    ----------
    settings, parts
        Of labtune's side.
    folder
        The encoder's files.
    train, asked
        What is learned and what is predicted.
    tokens, asked_tokens
        Real tokens of both.
    """

    settings: Settings
    parts: Parts
    folder: str
    train: Batch
    asked: Sequence[Record]
    tokens: int
    asked_tokens: int

    def training(self, folder: Path) -> Training:
        """Labtune's training, which writes to a folder."""
        return Training(
            model=self.parts.model,
            loss=self.parts.loss,
            metric=self.parts.metrics[0],
            train=self.train,
            valid=None,
            settings=self.settings,
            rates=learning_rates(self.parts.model.encoder, self.parts.model.trainable(), self.settings),
            checkpoints=folder / "checkpoints",
            log=folder / "log.jsonl",
        )

    def train_ours(self) -> float:
        """Real tokens a second of labtune's training."""
        with tempfile.TemporaryDirectory() as folder:
            return self.tokens / fit(self.training(Path(folder)), start("bf16")).seconds

    def train_peer(self, flags: dict[str, Any], batch_size: int | None = None) -> float:
        """Real tokens a second of the Trainer on the same records."""
        size = batch_size or self.settings.batch_size
        shared = {"epochs": 1, "batch_size": size, "seed": 0, "flags": flags, "labels": self._outputs}
        if self.train.units is None:
            pairs = [(record.input, int(row[0])) for record, row in zip(self.train.records, self._targets, strict=True)]
            return self.tokens / peers.train_sequences(self.folder, pairs, [], **shared).train_seconds
        words = [(list(record.input), row) for record, row in zip(self.train.records, self._targets, strict=True)]
        return self.tokens / peers.train_tokens(self.folder, words, [], **shared, longest=1024).train_seconds

    def predict_ours(self) -> float:
        """Real tokens a second of labtune's prediction, tokenisation included."""
        began = time.perf_counter()
        with torch.autocast(common.device(), torch.bfloat16):
            asked = self.parts.tokenizer(self.asked)
            predict(self.parts.model, asked, batch_tokens=self.settings.batch_tokens, device=common.device())
        return self.asked_tokens / (time.perf_counter() - began)

    def predict_peer(self, **options: Any) -> float:
        """Real tokens a second of transformers' pipeline on the same texts."""
        texts = [one.input if isinstance(one.input, str) else " ".join(one.input) for one in self.asked]
        kind = "text-classification" if self.train.units is None else "token-classification"
        model, vocabulary = peers.model_of(self.folder, kind, self._outputs)
        peer = pipeline(kind, model=model, tokenizer=vocabulary, device=common.device(), **options)
        began = time.perf_counter()
        peer(texts)
        return self.asked_tokens / (time.perf_counter() - began)

    def layer_weights(self) -> int:
        """Weights of the encoder's layers: those that take part in matrix products of every token."""
        return sum(weight.numel() for block in self.parts.model.encoder.blocks for weight in block.parameters())

    @property
    def _outputs(self) -> int:
        return 1 + int(self.train.targets.values.max()) if self.train.targets is not None else 0

    @property
    def _targets(self) -> list[list[int]]:
        assert self.train.targets is not None
        assert IGNORED == -100  # which is also what transformers leaves out
        return [row.tolist() for row in self.train.targets]


def build(name: str, *, steps: int, asked: int, batch_size: int) -> Case:
    """Build a case on public data: so many steps of training, so many records to predict."""
    catalog = load_catalog()
    task, options = TASKS[name]
    data = {part: str(common.data(path)) for part, path in FILES[name].items()}
    folder = esm2(catalog, ESM2_8M) if name == "secondary_structure" else locate()
    chosen = {**options, "data": data, "epochs": 1, "encoder": folder, "batch_size": batch_size}
    settings = resolve_settings(catalog, task, chosen)
    splits = load_splits(catalog.task(task), settings)
    train = [record for record in splits.records["train"] if len(record.input) <= UNCUT]
    return assemble(settings, splits.labels, train[: steps * batch_size], splits.records["test"][:asked])


def assemble(settings: Settings, labels: Labels, train: Sequence[Record], asked: Sequence[Record]) -> Case:
    """Build the parts that the settings name, and tokenise."""
    parts = build_parts(settings, load_catalog(), labels)
    tokenised = parts.tokenizer(train)
    fit_parts(parts, tokenised)
    folder = locate() if settings.encoder == "minilm" else settings.encoder
    counts = [len(batch.tokens.values) for batch in (tokenised, parts.tokenizer(asked))]
    return Case(settings, parts, folder, tokenised, asked, *counts)


def esm2(catalog: Catalog, shape: dict[str, int]) -> str:
    """Write an encoder of ESM-2's architecture with random weights; return its folder."""
    folder = Path(tempfile.mkdtemp()) / "esm2"
    fresh_encoder("protein.mini", catalog, config={**shape, "token_dropout": True}, seed=0).save(folder)
    return str(folder)


Side = Callable[[], float]


def sides(case: Case) -> dict[str, Side]:
    """Give a function for each side that works once and returns real tokens a second."""
    return {
        "labtune trains": case.train_ours,
        "Trainer, default flags": lambda: case.train_peer({}),
        "Trainer, default flags, batches of 8": lambda: case.train_peer({}, 8),
        "Trainer, best flags": lambda: case.train_peer(peers.BEST_FLAGS),
        "labtune predicts": case.predict_ours,
        "pipeline, default": case.predict_peer,
        "pipeline, batches of 32 in bfloat16": lambda: case.predict_peer(batch_size=32, dtype=torch.bfloat16),
    }
