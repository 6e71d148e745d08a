"""The vocabulary of labtune as frozen data: what plugins describe and what flows between the parts.

Nothing here imports a numeric library, so a plugin can be listed without being loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

LabelKind = Literal["classes", "multilabel", "values", "spans"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A part under a name; ``target`` is imported only when a run builds it.

    Parameters
    ----------
    name
        ``"ner.words"``: the plugin's entry-point name is the prefix. Names without a prefix belong to the core.
    target
        ``"module:attribute"`` of a callable that builds the part.
    summary
        One sentence for listings.
    """

    name: str
    target: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a task predicts.

    Parameters
    ----------
    kind
        ``classes``: one of several names, for a record or for each of its units; ``multilabel``: any subset of names;
        ``values``: numbers; ``spans``: labelled intervals of units.
    names
        The label names in output order. Empty means that they are taken from the training data.
    """

    kind: LabelKind
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Named settings of a task.

    Parameters
    ----------
    name, summary
        The name within the task, and one sentence.
    settings
        Values of fields of :class:`labtune.settings.Settings`.
    search
        What a search tries, beside or instead of its own ranges: by setting (or ``table.option``) a list of choices, or
        ``{"low": 1e-5, "high": 1e-3, "log": True}``. None takes a setting out of the search.
    """

    name: str
    summary: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task is data, not code: the names of its parts, its labels and its presets.

    Parameters
    ----------
    name, summary
        ``"ner.conll2003"`` and one sentence.
    reader
        ``"module:attribute"`` of a function ``read(path, *, labelled, **options)`` that yields records; where it
        leaves a labelled one out, a :class:`Skipped` in its place.
    tokenizer, head, loss
        Component names, the plugin's own or another's.
    metrics
        Component names. The first one's ``monitor`` selects the best checkpoint.
    labels
        What is predicted.
    presets
        The first one is the default.
    examples
        ``"module:attribute"`` of a function without arguments that returns at least eight labelled records, offline and
        always the same. Checks and documentation use them.
    sample
        ``"module:attribute"`` of a function that returns ``{"train": Path, "valid": Path, "test": Path}`` of bundled
        files, used when a run is given no data.
    options
        Per part (``reader``, ``tokenizer``, ``head``, ``loss``), keyword arguments that differ from the part's
        defaults.
    baseline
        ``"module:attribute"`` of ``fit(records, labels)``, which returns a function from records to predictions. The
        core's majority class or mean is used when empty.
    similarity
        ``"module:attribute"`` of the task's own measure of near duplicates, ``pairs(records, threshold=…)``, which
        gives pairs of row numbers. Empty: inputs that are texts are compared by what they share.
    slices
        Names of slice functions, ``{"length": "module:attribute"}``; each maps a record to the name of its slice. One
        with an attribute ``fit`` is given the training records first: ``fit(train)`` returns the function.
    views
        ``"module:attribute"`` of functions ``view(predictions, records, labels)`` that each return sections of the
        report.
    writers
        By the suffix of the file that predictions are asked for, ``{".ext": "module:attribute"}`` of a function
        ``write(predictions, file, out)``: it writes an iterator of predictions for ``file`` to ``out``, in the order of
        the records. Files with other suffixes get JSON lines.
    """

    name: str
    summary: str
    reader: str
    tokenizer: str
    head: str
    loss: str
    metrics: tuple[str, ...]
    labels: Labels
    presets: tuple[Preset, ...]
    examples: str
    sample: str = ""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    baseline: str = ""
    similarity: str = ""
    slices: Mapping[str, str] = field(default_factory=dict)
    views: tuple[str, ...] = ()
    writers: Mapping[str, str] = field(default_factory=dict)

    def preset(self, name: str = "") -> Preset:
        """Return the named preset, or the first; raises KeyError for an unknown name."""
        if not name:
            return self.presets[0]
        return {preset.name: preset for preset in self.presets}[name]


class Span(NamedTuple):
    """A labelled interval of units, ``start`` included and ``end`` excluded."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Record:
    """One example as read from a file.

    Parameters
    ----------
    id
        Unique within its file.
    input
        What the task's tokenizer understands: a text, a list of words, a sequence, …
    target
        The truth, or None when unlabelled. By kind of labels: a name, or a list with a name (or None) per unit
        (``classes``); a list of names (``multilabel``); a number or list of numbers (``values``); a list of
        :class:`Span` (``spans``).
    group
        Records that must stay on one side of a split share it: document, family, donor.
    columns
        Further columns of the file, for slices and for writing predictions beside them.
    source
        ``"file:line"``, for messages.
    """

    id: str
    input: Any
    target: Any = None
    group: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """What a reader yields in the place of a labelled record that it leaves out, so that none is lost silently.

    Parameters
    ----------
    reason
        In words that follow a number of records, such as ``"without a label"``.
    source
        ``"file:line"``.
    """

    reason: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a head decodes for one record.

    Parameters
    ----------
    id
        The record's id.
    value
        In the shape of :attr:`Record.target`.
    confidence
        A probability for each thing in ``value`` (one number, or a list alongside), or None.
    probabilities
        Float array ``(L,)`` for a record or ``(U, L)`` for its units, for calibration; or None.
    details
        Further fields for people, JSON types only; written with the prediction.
    state
        Float array ``(C,)``, what the head made of the record's hidden states, for views of what was learned; or None.
        It is never written.
    """

    id: str
    value: Any
    confidence: float | Sequence[float] | None = None
    probabilities: Any = None
    details: Mapping[str, Any] = field(default_factory=dict)
    state: Any = None
