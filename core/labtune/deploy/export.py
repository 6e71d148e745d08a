"""A finished run in the formats of other libraries."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from labtune.builtin.heads import SequenceHead, TargetScale, TokenHead
from labtune.catalog import load_catalog
from labtune.encoder.bits import restore
from labtune.encoder.classifiers import Outputs, has_tanh_layer, write_sequence_classifier, write_token_classifier
from labtune.encoder.methods import method_of
from labtune.errors import RunError
from labtune.folder import RunFolder
from labtune.model import HEAD_FILE
from labtune.parts import ENCODER_FOLDER, LABELS_FILE, Parts, load_parts
from labtune.settings import Settings
from labtune.specs import Labels

ADAPTER_CONFIG = "adapter_config.json"
PROBLEMS = {"multilabel": "multi_label_classification", "values": "regression"}


def export_run(run: str | Path, form: str, out: str | Path | None = None) -> dict[str, Any]:
    """Write a run in another library's format.

    Parameters
    ----------
    run
        Run folder.
    form
        ``hf``: a plain transformers classifier, adapters merged and few bits unpacked, with the same logits;
        ``peft``: the adapter alone, for ``peft.PeftModel.from_pretrained`` on the base model, and labtune's head.
    out
        Folder to make; ``RUN/export-FORM`` by default.

    Returns
    -------
    dict
        ``out``, ``format`` and ``bytes``; and a ``note`` where a user of the other library has to know something, which
        stands in the folder's ``README.md`` as well.

    Raises
    ------
    LabtuneError
        If the run has no such form; the message says why, and what would have.
    """
    folder = RunFolder(Path(run))
    folder.require_complete()
    target = Path(out) if out else folder.path / f"export-{form}"
    settings = Settings.from_toml(folder.settings)
    with _beside(target) as partial:
        note = FORMS[form](folder, settings, partial)
        if note:
            (partial / "README.md").write_text(note + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return {"out": str(target), "format": form, "bytes": size, **({"note": note} if note else {})}


def write_hf(folder: RunFolder, settings: Settings, out: Path) -> str:
    """Merge everything into a plain classifier of transformers; return what its users have to know of its inputs."""
    parts = load_parts(settings, load_catalog(), folder.model)
    head = parts.model.head
    restore(parts.model.encoder)
    method_of(settings).merge(parts.model.encoder)
    if isinstance(head, TokenHead):
        _require_plain(head, {"linear.weight", "linear.bias"}, _head_of(settings, parts))
        output = _scaled(head.linear, head.scale)
        write_token_classifier(parts.model.encoder, output, _outputs(parts.labels, head.output_names), out)
    elif type(head) is SequenceHead:  # what derives from it computes more than its layers
        tanh = _tanh_layer(head, wanted=has_tanh_layer(parts.model.encoder))
        output = _scaled(head.linear, head.scale)
        write_sequence_classifier(parts.model.encoder, tanh, output, _outputs(parts.labels, parts.labels.names), out)
    else:
        raise RunError(
            f"the head {_head_of(settings, parts)!r} has no counterpart among transformers' classifiers: "
            "use labtune to predict"
        )
    return str(getattr(parts.tokenizer, "usage", ""))


def write_peft(folder: RunFolder, settings: Settings, out: Path) -> str:
    """Copy the adapter, which is in peft's format already, and the head."""
    adapter = folder.model / ENCODER_FOLDER
    if not (adapter / ADAPTER_CONFIG).is_file():
        raise RunError(
            f"method {settings.method!r} has no form in peft: train with lora, dora, ia3 or prompt, or use --format hf"
        )
    shutil.copytree(adapter, out)
    for name in (HEAD_FILE, LABELS_FILE):
        shutil.copy(folder.model / name, out)
    return ""


FORMS: dict[str, Callable[[RunFolder, Settings, Path], str]] = {"hf": write_hf, "peft": write_peft}


def _tanh_layer(head: SequenceHead, *, wanted: bool) -> nn.Linear | None:
    """The head's tanh layer; raises RunError when the head reads something else than transformers' classifier does."""
    layers = head.hidden_layer
    found = isinstance(layers, nn.Sequential)
    if head.pooling.mode != "first" or found != wanted:
        raise RunError(
            f"transformers' sequence classifier of this encoder reads the first token with{'' if wanted else 'out'} a "
            f"tanh layer: train with --set head.pooling=first --set head.hidden_layer={str(wanted).lower()} to export"
        )
    return next((layer for layer in layers.children() if isinstance(layer, nn.Linear)), None)


def _head_of(settings: Settings, parts: Parts) -> str:
    return str(settings.head.get("name", parts.task.head))


def _require_plain(head: nn.Module, learned: set[str], name: str) -> None:
    if {parameter for parameter, _ in head.named_parameters()} != learned:
        raise RunError(
            f"the head {name!r} learns more than one linear layer, and transformers' token classifier is one"
        )


@torch.no_grad()
def _scaled(linear: nn.Linear, scale: TargetScale) -> nn.Linear:
    """The output layer with the scale of number targets multiplied in."""
    if not scale.active:
        return linear
    folded = nn.Linear(linear.in_features, linear.out_features)
    folded.weight.copy_(linear.weight * scale.spread[:, None])
    folded.bias.copy_(linear.bias * scale.spread + scale.center)
    return folded


def _outputs(labels: Labels, names: tuple[str, ...]) -> Outputs:
    return Outputs(names, PROBLEMS.get(labels.kind, "single_label_classification"))


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Give a folder to write to that becomes the target when all went well."""
    if target.exists():
        raise RunError(f"{target} exists; choose another --out")
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
        partial.rename(target)
    except OSError as error:
        raise RunError(f"{target}: cannot write ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
