"""The folder that a pre-training leaves, and what is measured and written there."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from labtune.encoder.base import Encoder
from labtune.encoder.hub import HubEncoder
from labtune.errors import DataError, RunError
from labtune.folder import write_json
from labtune.pretraining.masking import Masked
from labtune.pretraining.objective import MaskedLanguageHead, MaskedLanguageModel
from labtune.pretraining.settings import PretrainSettings
from labtune.protocols import IGNORED

LENGTH = ("steps", "hours")  # what may be another when a training is resumed
HEAD_FILE = "mlm_head.safetensors"


@dataclass(frozen=True, slots=True)
class PretrainFolder:
    """Names of the files: ``encoder/`` is what ``--encoder`` takes."""

    path: Path

    @property
    def plan(self) -> Path:
        """Settings and files, to know a training again."""
        return self.path / "pretrain.json"

    @property
    def corpus(self) -> Path:
        """The tokens."""
        return self.path / "corpus"

    @property
    def checkpoints(self) -> Path:
        """The latest states."""
        return self.path / "checkpoints"

    @property
    def log(self) -> Path:
        """One JSON line a step or event."""
        return self.path / "log.jsonl"

    @property
    def encoder(self) -> Path:
        """The trained encoder."""
        return self.path / "encoder"

    @property
    def metrics(self) -> Path:
        """Curve, speed and data; written last."""
        return self.path / "metrics.json"

    @contextmanager
    def gone_if_fruitless(self) -> Iterator[None]:
        """Take back a new folder that a failure left without a checkpoint to go on with."""
        existed = self.path.exists()
        try:
            yield
        except BaseException:
            if not existed and not any(self.checkpoints.glob("step-*")):
                shutil.rmtree(self.path, ignore_errors=True)
            raise

    def claim(
        self, settings: PretrainSettings, files: Sequence[Path], labelled: Sequence[Path] = (), *, resume: bool
    ) -> None:
        """Make the folder, or make sure that it is the same training's.

        Raises
        ------
        DataError
            If a file is missing.
        RunError
            If the folder holds something else.
        """
        if not files and not labelled:
            raise DataError("there is no file to learn from; name at least one")
        for path in (*files, *labelled):
            if not path.is_file():
                raise DataError(f"{path}: no such file; check the path")
        named = {"files": [str(path) for path in files], "labelled": [str(path) for path in labelled]}
        plan = json.loads(json.dumps({"settings": asdict(settings), **named}))
        if self.plan.exists():
            if not resume:
                raise RunError(f"{self.path} holds a pre-training; add --resume to go on, or choose another --out")
            self._check_same(plan)
        elif self.path.exists() and any(self.path.iterdir()):
            raise RunError(f"{self.path} exists and is not empty; choose another --out")
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.plan, plan)

    def _check_same(self, plan: dict[str, Any]) -> None:
        before = json.loads(self.plan.read_text())
        old, new = ({**found.pop("settings"), **found} for found in (before, dict(plan)))
        changed = [key for key in new if old.get(key) != new[key] and key not in LENGTH]
        if changed:
            raise RunError(
                f"{self.path} was begun with {changed[0]}={old.get(changed[0])!r}, not {new[changed[0]]!r}; "
                f"resume with the same settings, or choose another --out"
            )

    def curve(self, until: int) -> list[dict[str, float]]:
        """Held-out scores so far, of the steps up to ``until``."""
        if not self.log.exists():
            return []
        events = [json.loads(line) for line in self.log.read_text().splitlines() if '"valid"' in line]
        names = ("step", "tokens", "seconds", "perplexity", "accuracy", "pair_accuracy", "label_accuracy")
        return [{name: event[name] for name in names if name in event} for event in events if event["step"] <= until]


@torch.inference_mode()
def perplexity(model: MaskedLanguageModel, batches: Iterable[Masked]) -> dict[str, float]:
    """Exponential of the mean negative log-likelihood of hidden tokens; shares guessed of these, pairs and labels."""
    loss, right, total = 0.0, Counter[str](), Counter[str]()
    model.eval()
    for batch in batches:
        scores = model.scores(batch)
        loss += float(nn.functional.cross_entropy(scores.words.float(), batch.truth, reduction="sum"))
        guessed = (
            ("accuracy", scores.words, batch.truth),
            ("pair_accuracy", scores.pairs, batch.follows),
            ("label_accuracy", scores.labels, batch.labels),
        )
        for name, logits, truth in guessed:
            if logits is not None and truth is not None:
                right[name] += int((logits.argmax(-1) == truth).sum())
                total[name] += int((truth != IGNORED).sum())
    shares = {name: right[name] / max(count, 1) for name, count in total.items()}
    return {"perplexity": math.exp(loss / max(total["accuracy"], 1)), **shares}


def write_encoder(encoder: Encoder, head: MaskedLanguageHead, folder: Path, storage: str) -> None:
    """Write the encoder as it saves itself, a Hugging Face model as such a folder; and its head beside it.

    Parameters
    ----------
    encoder, head
        What was trained.
    folder
        To make.
    storage
        ``bfloat16`` halves the file; the configuration still says float32, so that the weights are read as such.
    """
    encoder.save(folder)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in head.state_dict().items()}, folder / HEAD_FILE
    )
    if storage == "float32":
        return
    for path in folder.glob("*.safetensors"):
        halved = {
            name: tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor
            for name, tensor in load_file(path).items()
        }
        save_file(halved, path, metadata={"format": "pt"})
    if isinstance(encoder, HubEncoder):
        config = json.loads((folder / "config.json").read_text())
        write_json(folder / "config.json", {**config, "dtype": "float32"})


def load_head(head: MaskedLanguageHead, folder: Path) -> None:
    """Read the head that an earlier pre-training left beside its encoder, if there is one; else it stays fresh."""
    path = folder / HEAD_FILE
    if path.is_file():
        head.load_state_dict(load_file(path), strict=False)  # with pairs or without them
