"""The peer: ``transformers.Trainer`` with its own recipes for token and sequence classification.

The recipes are those of transformers' example scripts: the first subword carries a word's label, sequences are padded
to the longest of a batch, AdamW at 5e-5 with a linear decay. Batch size and epochs are given, so that both sides do
the same work.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

BEST_FLAGS = {"bf16": True, "train_sampling_strategy": "group_by_length"}


@dataclass(frozen=True)
class PeerResult:
    """What a Trainer run gives: label ids per record (lists of words, or one), seconds, and real tokens trained on."""

    predicted: list[Any]
    train_seconds: float
    predict_seconds: float
    tokens: int


def train_tokens(
    folder: str,
    train: Sequence[tuple[list[str], list[int]]],
    test: Sequence[list[str]],
    *,
    labels: int,
    epochs: int,
    batch_size: int,
    seed: int,
    flags: dict[str, Any],
    learning_rate: float = 5e-5,
    longest: int = 512,
) -> PeerResult:
    """Fine-tune a token classifier on words with label ids, and predict the words of ``test``.

    Word targets of -100 count nothing; records are cut at ``longest`` tokens.
    """
    model, vocabulary = model_of(folder, "token-classification", labels)

    def encode(words: list[str]) -> tuple[dict[str, Any], list[int]]:
        """Give the tokens, and for each the word that it opens, or -1."""
        encoded = vocabulary(words, is_split_into_words=True, truncation=True, max_length=longest)
        owners = [-1 if word is None else word for word in encoded.word_ids()]
        first = [owner if owner != before else -1 for before, owner in pairwise([-1, *owners])]
        return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}, first

    data = []
    for words, targets in train:
        tokens, first = encode(words)
        data.append({**tokens, "labels": [-100 if word < 0 else targets[word] for word in first]})
    asked, openings = zip(*map(encode, test), strict=True) if test else ((), ())
    collator = DataCollatorForTokenClassification(vocabulary)
    trainer = _trainer(model, data, collator, epochs, batch_size, seed, flags, learning_rate)
    seconds = _timed(trainer.train)
    began = time.perf_counter()
    logits = _predict(trainer, list(asked)) if test else []
    predicted = []
    for words, first, row in zip(test, openings, logits, strict=True):
        chosen = dict.fromkeys(range(len(words)), 0)  # words lost to truncation count as the first label, O
        for position, word in enumerate(first):
            if word >= 0:
                chosen[word] = int(row[position].argmax())
        predicted.append(list(chosen.values()))
    return PeerResult(predicted, seconds, time.perf_counter() - began, _tokens(data) * epochs)


def train_sequences(
    folder: str,
    train: Sequence[tuple[str, int]],
    test: Sequence[str],
    *,
    labels: int,
    epochs: int,
    batch_size: int,
    seed: int,
    flags: dict[str, Any],
    learning_rate: float = 5e-5,
) -> PeerResult:
    """Fine-tune a sequence classifier on texts with label ids, and predict the texts of ``test``."""
    model, vocabulary = model_of(folder, "text-classification", labels)
    data = [{**vocabulary(text, truncation=True, max_length=512), "labels": target} for text, target in train]
    asked = [dict(vocabulary(text, truncation=True, max_length=512)) for text in test]
    collator = DataCollatorWithPadding(vocabulary)
    trainer = _trainer(model, data, collator, epochs, batch_size, seed, flags, learning_rate)
    seconds = _timed(trainer.train)
    began = time.perf_counter()
    predicted = np.argmax(_predict(trainer, asked), axis=-1).tolist()
    return PeerResult(predicted, seconds, time.perf_counter() - began, _tokens(data) * epochs)


def model_of(folder: str, kind: str, labels: int) -> tuple[Any, Any]:
    """Read the peer's model, with a fresh head, and its tokenizer."""
    reads = AutoModelForTokenClassification if kind == "token-classification" else AutoModelForSequenceClassification
    return reads.from_pretrained(folder, num_labels=labels), AutoTokenizer.from_pretrained(folder)


def _trainer(
    model: torch.nn.Module,
    data: list[dict[str, Any]],
    collator: Any,
    epochs: int,
    batch_size: int,
    seed: int,
    flags: dict[str, Any],
    learning_rate: float,
) -> Trainer:
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        num_train_epochs=epochs,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        **flags,
    )
    return Trainer(model=model, args=arguments, train_dataset=data, data_collator=collator)


def _predict(trainer: Trainer, asked: list[dict[str, Any]]) -> Any:
    """Predict in the order given: grouping by length would hand the records over in another one."""
    trainer.args.train_sampling_strategy = "random"
    return trainer.predict(asked).predictions


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _tokens(data: list[dict[str, Any]]) -> int:
    return sum(len(record["input_ids"]) for record in data)
