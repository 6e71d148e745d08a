"""The content of a report as small frozen values that go to JSON and back.

Views build sections from predictions, the run folder keeps them in ``sections.json``, and the report draws them.
Whatever sequences, NumPy scalars or arrays they are given, sections hold JSON types only: tuples, dicts, strings,
numbers, None. Numbers that are not finite become None, because JSON has no word for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, TypeAlias

DATA_CHECK = "Data check"  # title of the table of what an audit found: its severity and what it is

Cell: TypeAlias = str | int | float | None
Point: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True)
class Section:
    """What all kinds share. ``note`` is a sentence for the reader, shown under the title."""

    title: str

    def __post_init__(self) -> None:
        for entry in fields(self):
            object.__setattr__(self, entry.name, _plain(getattr(self, entry.name)))


@dataclass(frozen=True)
class Text(Section):
    """Paragraphs of plain text."""

    paragraphs: Sequence[str]
    note: str = ""


@dataclass(frozen=True)
class Table(Section):
    """Rows under named columns; the first column names the row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Matrix(Section):
    """A grid of numbers ``values[row][column]``, such as a confusion matrix with the truth in rows."""

    row_labels: Sequence[str]
    column_labels: Sequence[str]
    values: Sequence[Sequence[float | None]]
    note: str = ""


@dataclass(frozen=True)
class Curve(Section):
    """Lines through points, one for each name in ``series``; ``diagonal`` adds the line y = x for comparison."""

    x_label: str
    y_label: str
    series: Mapping[str, Sequence[Point]]
    note: str = ""
    diagonal: bool = False


@dataclass(frozen=True)
class Scatter(Section):
    """Points ``(x, y)``; with ``diagonal``, both axes share one scale and y = x is drawn."""

    x_label: str
    y_label: str
    points: Sequence[Point]
    note: str = ""
    diagonal: bool = True


class Bar(NamedTuple):
    """A value with its interval (None: unknown) and the number of records behind it."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    records: int | None = None


@dataclass(frozen=True)
class Bars(Section):
    """Scores side by side, such as one score per slice; ``reference`` is the score of everything together."""

    x_label: str
    bars: Sequence[Bar]
    note: str = ""
    reference: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "bars", tuple(Bar(*bar) for bar in self.bars))


class Segment(NamedTuple):
    """A piece of an example's text, with its true and predicted label (None: no label there)."""

    text: str
    truth: str | None = None
    predicted: str | None = None


@dataclass(frozen=True)
class Example:
    """One record for people to read: its id, what went wrong in a few words, and its text in segments."""

    id: str
    headline: str
    segments: Sequence[Segment]

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(Segment(*_plain(segment)) for segment in self.segments))


@dataclass(frozen=True)
class Examples(Section):
    """Records worth reading, such as the worst errors."""

    items: Sequence[Example]
    note: str = ""

    def __post_init__(self) -> None:
        items = tuple(item if isinstance(item, Example) else Example(**item) for item in self.items)
        object.__setattr__(self, "items", items)


@dataclass(frozen=True)
class Figure(Section):
    """A drawing that a plugin made: SVG markup and a text that says what it shows.

    The report embeds it as an image, in which a browser runs no script and loads nothing, so the markup need not be
    trusted. It should draw on transparent ground and may use ``prefers-color-scheme``.
    """

    svg: str
    alt: str
    note: str = ""


@dataclass(frozen=True)
class Frame(Section):
    """A page of its own within the report, for what people have to turn and touch.

    Parameters
    ----------
    body
        Its markup.
    data
        What its scripts read, as JSON, from the element with the id ``data``.
    scripts
        ``"package/file.js"``, shipped with an installed package and run one after the other; markup cannot bring any.
        They run in a sandbox without network.
    height
        In pixels.
    """

    body: str
    data: Any
    scripts: Sequence[str]
    height: int = 480
    note: str = ""


KINDS: dict[str, type[Section]] = {
    kind.__name__.lower(): kind for kind in (Text, Table, Matrix, Curve, Scatter, Bars, Examples, Figure, Frame)
}


def to_json(section: Section) -> dict[str, Any]:
    """Return the section as JSON types, its ``kind`` among them."""
    return {"kind": type(section).__name__.lower(), **asdict(section)}


def from_json(content: Mapping[str, Any]) -> Section:
    """Rebuild a section from what :func:`to_json` returned.

    Raises
    ------
    ValueError
        If the kind is unknown or the fields are not those of the kind.
    """
    values = dict(content)
    kind = values.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"no section of kind {kind!r}; known: {', '.join(KINDS)}")
    try:
        return KINDS[kind](**values)
    except TypeError as error:
        raise ValueError(f"a section of kind {kind!r} cannot be read: {error}") from error


def _plain(value: Any) -> Any:
    """Return the value as JSON types, with tuples for sequences and None for numbers that are not finite."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if getattr(value, "ndim", None) == 0:
        return _plain(value.item())
    if isinstance(value, Iterable):
        return tuple(_plain(entry) for entry in value)
    raise TypeError(f"a section cannot hold {value!r}")
