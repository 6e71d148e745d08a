"""What labtune raises on purpose: one sentence that says what is wrong, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LabtuneError(Exception):
    """An expected failure. The command line prints its message on one line and exits with code 2."""


class PluginError(LabtuneError):
    """A plugin cannot be used, or a name is offered by none."""


class SettingsError(LabtuneError):
    """A setting is unknown, of the wrong type, or does not go with another."""


class DataError(LabtuneError):
    """A file or record cannot be used; the message names the file and line, or the record id."""


class EncoderError(LabtuneError):
    """An encoder cannot be found, or is refused because it is unsafe to load."""


class RunError(LabtuneError):
    """A run folder is missing, incomplete, occupied or damaged."""


class TrainingError(LabtuneError):
    """Training cannot go on: the loss is not finite, memory ran out, a worker died."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or list them all.

    Parameters
    ----------
    name
        What the user wrote.
    known
        The names that exist.

    Returns
    -------
    str
        A sentence to append to an error message, such as ``Did you mean 'epochs'?``.
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not names:
        return "None is installed."
    return f"Known: {', '.join(names)}."
