"""A small text task, an encoder folder without weights, and files to pre-train on."""

from __future__ import annotations

import random
from types import ModuleType

import pytest
from transformers import BertConfig

from labtune import hookimpl
from labtune.catalog import load_catalog
from labtune.encoder.tiny import byte_tokenizer
from labtune.specs import Labels, Preset, Task

WORDS = ("alpha", "beta", "gamma", "delta", "one", "two", "three", "four")


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    """Configuration and vocabulary of a tiny BERT, no weights."""
    folder = tmp_path_factory.mktemp("recipe")
    tokenizer = byte_tokenizer()
    BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        pad_token_id=0,
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    """Forty lines in which words follow each other in a fixed order."""
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("texts") / "lines.csv"
    starts = [rng.randrange(len(WORDS)) for _ in range(40)]
    lines = [" ".join(WORDS[(start + step) % len(WORDS)] for step in range(8)) for start in starts]
    path.write_text("text\n" + "".join(f"{line} {number}\n" for number, line in enumerate(lines)))
    return path


@pytest.fixture(scope="session")
def catalog():
    """What is installed, and the task ``plain.text``."""
    module = ModuleType("plain")
    task = Task(
        name="plain.text",
        summary="Texts.",
        reader="labtune.data.reading:read_table",
        tokenizer="text",
        head="sequence",
        loss="cross_entropy",
        metrics=("classification",),
        labels=Labels(kind="classes"),
        presets=(Preset(name="small", settings={"encoder": "tiny"}),),
        examples="labtune.data.reading:read_table",
    )
    module.labtune_tasks = hookimpl(lambda: [task])
    return load_catalog({"plain": module})
