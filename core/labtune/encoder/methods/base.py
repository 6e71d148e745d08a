"""What every fine-tuning method has in common: it freezes, it may add modules, and it saves only what learns."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from labtune.encoder.base import Encoder
from labtune.errors import RunError, SettingsError

TRAINED_FILE = "trained.safetensors"


class Method:
    """A way to fine-tune. A subclass is a dataclass whose fields are the options of the settings' table ``tuning``.

    Attributes
    ----------
    name
        What the settings call it.
    layer_decay, gradual
        See :class:`labtune.encoder.methods.full.Full`, which alone lets them be chosen.
    """

    name: str
    layer_decay: float = 1.0
    gradual: bool = False

    @property
    def whole(self) -> bool:
        """Whether the saved files are a model of their own, without the base encoder."""
        return False

    def freeze(self, encoder: Encoder) -> None:
        """Decide which of the encoder's own weights learn; none unless a method says otherwise."""
        encoder.requires_grad_(False)

    def extend(self, encoder: Encoder) -> None:
        """Add the modules that learn, after frozen weights were stored in few bits."""

    def save(self, encoder: Encoder, folder: Path, base: str) -> None:
        """Write what learned. ``base`` is where the base encoder is found, for other libraries to read."""
        write_tensors(dict(learning(encoder)), folder / TRAINED_FILE)

    def load(self, encoder: Encoder, folder: Path) -> None:
        """Read what :meth:`save` wrote into an encoder that went through :meth:`freeze` and :meth:`extend`."""
        read_tensors(dict(learning(encoder)), folder / TRAINED_FILE)

    def merge(self, encoder: Encoder) -> None:
        """Fold added modules into plain weights; raises SettingsError when the method's function has no such form."""


def learning(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Parameters that learn, with their names."""
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors; an empty set leaves no file."""
    if tensors:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def read_tensors(into: dict[str, Tensor], path: Path) -> None:
    """Fill tensors in place from a file.

    Raises
    ------
    RunError
        If the file is missing or damaged, or holds other tensors.
    """
    if not into:
        return
    found = read_file(path)
    shapes = {name: tensor.shape for name, tensor in found.items()}
    if shapes != {name: tensor.shape for name, tensor in into.items()}:
        raise RunError(f"{path} holds other weights than this method trains; the run folder is damaged")
    for name, tensor in into.items():
        tensor.data.copy_(found[name])


def read_file(path: Path) -> dict[str, Tensor]:
    """Read safetensors; raises RunError when they are missing or damaged."""
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: the trained weights cannot be read ({reason}); the run folder is damaged") from error
    return tensors


def check(condition: bool, option: str, words: str, value: object) -> None:
    """Refuse an option's value; raises SettingsError."""
    if not condition:
        raise SettingsError(f"tuning.{option} must be {words}, not {value!r}")


def is_whole_number(value: object, low: int = 1) -> bool:
    """Whether a value is an integer of at least ``low``."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def is_number(value: object) -> bool:
    """Whether a value is a number, 0 or more."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
