"""The settings of a run: task < preset < TOML file < arguments < ``--set``, each value checked where it comes in."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import tomli_w

from labtune.catalog import Catalog
from labtune.errors import SettingsError, nearest
from labtune.fields import auto, choice, number, shares, switch, table, text, texts, whole
from labtune.specs import Task

METHODS = ("full", "lora", "dora", "ia3", "adapter", "prompt", "bitfit", "head")
DATA_FILES = ("train", "valid", "test")
FACTS = "facts"  # the table of run.toml that says how a run went; not a setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides a run, beside the data itself.

    Parameters
    ----------
    task, preset
        What the settings started from.
    encoder
        A plugin's name, a hub id or a local folder.
    method
        Which weights learn: all (``full``), adapters beside frozen ones (``lora``, ``dora``, ``ia3``, ``adapter``),
        virtual tokens (``prompt``), biases (``bitfit``), or the head alone (``head``).
    bits
        Storage of the frozen encoder weights.
    seed
        Of every random choice: split, order, initial weights, dropout.
    epochs
        Passes over the training data.
    batch_size
        Records of one optimiser step, all processes together.
    batch_tokens
        Tokens of one forward pass of one process.
    learning_rate, head_learning_rate
        Peak rates of the encoder's learning weights and of the head. None: the method's default.
    optimizer, momentum
        ``momentum`` is that of ``sgd``.
    weight_decay
        Decoupled; not applied to biases and norms.
    warmup
        Share of all steps when below 1, steps otherwise.
    schedule
        Of the learning rates after the warm-up.
    clip
        Largest norm of the gradient; 0 never clips.
    dropout
        Of the encoder's hidden states; the head has its own, ``head.dropout``.
    precision
        Of the arithmetic; ``auto`` takes bfloat16 where the accelerator has it.
    compile
        Whether torch compiles the encoder's blocks, on a GPU: the first step takes seconds more, the
        others about two thirds of the time or less.
    patience
        Epochs without a better validation score before stopping; 0 never stops early.
    shard
        Whether processes share out weights, gradients and the optimiser's state, where each would hold all of them.
    tracker
        What else is told the course of training; ``none`` leaves it at the run folder.
    checkpoint_every
        Steps; 0 writes a checkpoint after every epoch.
    coverage
        Share of truths that the sets and intervals of predictions hold, or of found spans that are right or not
        answered; see the evaluation guide. 0 makes none, and predictions abstain from nothing.
    audit
        How far data are checked before training; ``quick`` leaves out near duplicates.
    slices
        Columns of the data; each of their values is scored on its own, beside the slices that the task names.
    window_overlap
        Tokens that neighbouring windows of a long record share. None: a quarter of the window.
    split, fractions
        How one file becomes training, validation and test data, and their shares.
    data
        Paths of the files ``train``, ``valid`` and ``test``.
    reader, tokenizer, encoder_options, head, loss, tuning
        Options of the task's parts, and of the method.
    """

    task: str = text(MISSING)
    preset: str = text()
    encoder: str = text(MISSING)
    method: str = choice(*METHODS)
    bits: int = choice(32, 16, 8, 4)
    seed: int = whole(0)
    epochs: int = whole(3, low=1)
    batch_size: int = whole(32, low=1)
    batch_tokens: int = whole(4096, low=1)
    learning_rate: float | None = auto(number(0.0))
    head_learning_rate: float | None = auto(number(0.0))
    optimizer: str = choice("adamw", "adamw8bit", "sgd")
    momentum: float = number(0.9, below=1)
    weight_decay: float = number(0.01)
    warmup: float = number(0.1)
    schedule: str = choice("linear", "cosine", "constant")
    clip: float = number(1.0)
    dropout: float = number(0.1, below=1)
    precision: str = choice("auto", "float32", "bfloat16")
    compile: bool = switch()
    patience: int = whole(0)
    shard: bool = switch()
    tracker: str = choice("none", "tensorboard", "wandb", "mlflow")
    checkpoint_every: int = whole(0)
    coverage: float = number(0.9, below=1)
    audit: str = choice("full", "quick", "off")
    slices: tuple[str, ...] = texts()
    window_overlap: int | None = auto(whole(0))
    split: str = text("stratified")
    fractions: tuple[float, float, float] = shares(0.7, 0.15, 0.15)
    data: Mapping[str, str] = table()
    reader: Mapping[str, Any] = table()
    tokenizer: Mapping[str, Any] = table()
    encoder_options: Mapping[str, Any] = table()
    head: Mapping[str, Any] = table()
    loss: Mapping[str, Any] = table()
    tuning: Mapping[str, Any] = table()

    @classmethod
    def from_toml(cls, path: Path) -> Settings:
        """Read what :meth:`to_toml` wrote, such as ``run.toml``; raises SettingsError."""
        return _merge([_file_layer(path)])

    def to_toml(self, facts: Mapping[str, Any] | None = None) -> str:
        """Write every setting, so that the text is a run of its own.

        Parameters
        ----------
        facts
            How a run went: versions, hashes. They go to a table that reading skips.
        """
        values = {key: "auto" if value is None else value for key, value in asdict(self).items()}
        values = {key: value for key, value in values.items() if value != {}}
        return tomli_w.dumps(values | ({FACTS: facts} if facts else {}))


FIELDS = {item.name: item for item in fields(Settings)}


@dataclass(frozen=True, slots=True)
class Layer:
    """Values and where they come from.

    Parameters
    ----------
    source
        For messages.
    values
        By name of the setting.
    typed
        Whether somebody typed the values, so that a text may stand for a number.
    folder
        What relative paths of data files start from.
    """

    source: str
    values: Mapping[str, Any]
    typed: bool = False
    folder: Path = Path()


def resolve_settings(
    catalog: Catalog, task_or_file: str | Path, flags: Mapping[str, Any] | None = None, sets: Sequence[str] = ()
) -> Settings:
    """Merge everything that has a say, the later over the earlier: task, preset, file, arguments, ``--set``.

    Parameters
    ----------
    catalog
        Where tasks and presets are found.
    task_or_file
        The name of a task, or a ``.toml`` file that names its task with the key ``task``.
    flags
        Settings by name; None stands for not given. Texts are read as numbers where a number is wanted.
    sets
        ``"key=value"`` or ``"table.option=value"``, with values in TOML's notation; a bare word is a text.

    Returns
    -------
    Settings
        Complete and checked. Data paths are absolute: those in a file start from its folder.

    Raises
    ------
    PluginError
        If the task or one of its parts is not installed.
    SettingsError
        If a key is unknown or a value not acceptable; the message says where it comes from.
    """
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    upper = [Layer("the arguments", given, typed=True), *map(set_layer, sets)]
    for layer in upper:
        if "task" in layer.values:
            raise SettingsError(f"the task cannot be changed by {layer.source}: name another task or file instead")
    name = str(task_or_file)
    if name.endswith(".toml"):
        upper.insert(0, _file_layer(Path(name)))
        name = read_setting("task", upper[0])
    task = catalog.task(name)
    return _merge([*_lower_layers(task, upper), *upper])


def _file_layer(path: Path) -> Layer:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read the settings {path}: {getattr(error, 'strerror', None) or error}") from error
    values.pop(FACTS, None)
    if "task" not in values:
        raise SettingsError(
            f"{path} names no task: add a line such as task = \"NAME\"; 'labtune tasks' lists the names"
        )
    return Layer(str(path), values, folder=path.parent)


def set_layer(assignment: str) -> Layer:
    """Read what follows one ``--set``."""
    key, equals, value = (part.strip() for part in assignment.partition("="))
    if not (key and equals):
        raise SettingsError(f"--set {assignment} is not of the form key=value")
    part, dot, option = key.partition(".")
    if dot:
        return Layer(f"--set {assignment}", {part: {option: _literal(value)}})
    return Layer(f"--set {assignment}", {key: value}, typed=True)


def _literal(written: str) -> Any:
    """Read a value in TOML's notation; what is none is a text."""
    try:
        values = tomllib.loads(f"value = {written}")
    except tomllib.TOMLDecodeError:
        return written
    return values["value"] if len(values) == 1 else written


def _lower_layers(task: Task, upper: Sequence[Layer]) -> list[Layer]:
    """Return the layers below the user's: the task's options, then the chosen preset."""
    chosen = [(read_setting("preset", layer), layer.source) for layer in upper if "preset" in layer.values]
    name, source = chosen[-1] if chosen else ("", "")
    known = [preset.name for preset in task.presets]
    if name and name not in known:
        raise SettingsError(f"the task {task.name!r} has no preset {name!r} ({source}). {nearest(name, known)}")
    preset = task.preset(name)
    start = Layer(f"task {task.name!r}", {"task": task.name, **task.options})
    settings = {**preset.settings, "preset": preset.name}
    if _trains_otherwise(settings, upper):
        settings.pop("learning_rate", None)
    return [start, Layer(f"preset {preset.name!r} of {task.name!r}", settings)]


def _trains_otherwise(settings: Mapping[str, Any], upper: Sequence[Layer]) -> bool:
    """Whether the user chose another encoder or method than a preset, whose learning rate would not suit them."""
    usual = {"method": FIELDS["method"].default, **settings}
    given = [(key, read_setting(key, layer)) for key in ("encoder", "method") for layer in upper if key in layer.values]
    return any(value != usual.get(key) for key, value in given)


def _merge(layers: Sequence[Layer]) -> Settings:
    merged: dict[str, Any] = {}
    for layer in layers:
        for key in layer.values:
            value = read_setting(key, layer)
            merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    if "encoder" not in merged:
        raise SettingsError(
            f"no encoder is chosen for {merged['task']!r}: give --encoder with a hub id, a folder or a name"
        )
    settings = Settings(**merged)
    _check_bits(settings)
    _check_shard(settings)
    return settings


def _check_bits(settings: Settings) -> None:
    """Refuse to store in few bits what has to learn."""
    partial = settings.method == "full" and "top_blocks" in settings.tuning
    if settings.bits == 32 or settings.method not in ("full", "bitfit"):
        return
    if settings.bits == 16 and (partial or settings.method == "bitfit"):
        return
    if settings.method == "bitfit":
        clash, way = "and biases cannot make good their rounding", "16 or 32 bits"
    elif partial:
        clash, way = "and top_blocks leaves few of them", "16 or 32 bits"
    else:
        clash, way = "and method 'full' freezes none", "32 bits"
    raise SettingsError(f"{settings.bits} bits store frozen weights, {clash}: choose method 'lora', or {way}")


def _check_shard(settings: Settings) -> None:
    """Refuse to share out what cannot be."""
    if not settings.shard:
        return
    if settings.bits != 32:
        raise SettingsError(f"shard shares out weights of 32 bits, not of {settings.bits}: leave one of the two out")
    if settings.method == "head":
        raise SettingsError("shard shares out what learns, and with method 'head' the encoder does not: leave it out")
    if settings.optimizer == "adamw8bit":
        raise SettingsError("shard does not go with optimizer 'adamw8bit': choose 'adamw' or 'sgd'")


def read_setting(key: str, layer: Layer, known: Mapping[str, Field[Any]] = FIELDS) -> Any:
    """Return one checked value of a layer; ``known`` are the fields of whichever settings it belongs to."""
    if key not in known:
        raise SettingsError(f"unknown setting {key!r} ({layer.source}). {nearest(key, known)}")
    about = known[key].metadata
    value = layer.values[key]
    candidates = [_literal(value), value] if layer.typed and isinstance(value, str) else [value]
    for candidate in candidates:
        try:
            accepted = about["read"](candidate)
        except (TypeError, ValueError):
            continue
        return _read_data(accepted, layer) if key == "data" else accepted
    hint = f"; write {key}.NAME=VALUE" if "table" in about and layer.typed else ""
    raise SettingsError(f"{key} must be {about['words']}, not {value!r} ({layer.source}){hint}")


def _read_data(paths: Mapping[str, Any], layer: Layer) -> dict[str, str]:
    for name, path in paths.items():
        if name not in DATA_FILES:
            raise SettingsError(f"unknown data file {name!r} ({layer.source}). {nearest(name, DATA_FILES)}")
        if not isinstance(path, str):
            raise SettingsError(f"data.{name} must be a path, not {path!r} ({layer.source})")
    return {name: os.path.abspath(layer.folder / Path(path).expanduser()) for name, path in paths.items()}
