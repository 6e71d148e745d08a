"""Fine-tuning methods, a small room each, imported when it is chosen."""

from __future__ import annotations

from collections.abc import Mapping

from labtune.catalog import call_target
from labtune.encoder.methods.base import Method
from labtune.settings import Settings

_ROOM = "labtune.encoder.methods"
METHODS: Mapping[str, str] = {
    "full": f"{_ROOM}.full:Full",
    "lora": f"{_ROOM}.peft_methods:Lora",
    "dora": f"{_ROOM}.peft_methods:Dora",
    "ia3": f"{_ROOM}.peft_methods:Ia3",
    "adapter": f"{_ROOM}.adapter:Adapter",
    "prompt": f"{_ROOM}.prompt:Prompt",
    "bitfit": f"{_ROOM}.bitfit:BitFit",
    "head": f"{_ROOM}.head:Head",
}


def method_of(settings: Settings) -> Method:
    """Build the method that the settings choose, with its options from their table ``tuning``.

    Raises
    ------
    SettingsError
        If an option is unknown to the method, or its value is not acceptable.
    """
    what = f"option of method {settings.method!r} (table tuning)"
    method: Method = call_target(METHODS[settings.method], what=what, **settings.tuning)
    return method
