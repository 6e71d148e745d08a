"""Plots as small inline SVG: no dependency, and their colours follow the page, light or dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from markupsafe import Markup

from labtune.evaluation.report.axes import Scale, axes, scale, tick, x_axis
from labtune.evaluation.report.content import Score
from labtune.evaluation.report.layout import is_narrow
from labtune.evaluation.report.words import count, score
from labtune.evaluation.sections import Bar, Bars, Curve, Point, Scatter

WIDTH, HEIGHT = 440, 270
LEFT, RIGHT, TOP, BOTTOM = 56, 22, 28, 42  # margins: tick labels at the left, the name of y on top
SIDE = 340  # of a square plot
BARS, ROW = 600, 26  # of an interval plot: its width, unless all names are short, and the height of a row
DOTS = 2000  # of a scatter plot
COLOURS = 6
SMALLEST = 0.7  # of its size to which a plot is shrunk, so that its words stay readable


def curve(section: Curve) -> Markup:
    """Draw lines with a mark at each point when there are few, and a legend when there are several."""
    series = {name: _known(points) for name, points in section.series.items()}
    side = SIDE if section.diagonal else WIDTH
    x = scale(_range(section, [x for x, _ in _all(series.values())]), LEFT, side - RIGHT)
    y = scale(_range(section, [y for _, y in _all(series.values())]), HEIGHT - BOTTOM, TOP)
    lines = [_line(index % COLOURS, points, x, y) for index, points in enumerate(series.values())]
    ends = "; ".join(f"{name} ends at {tick(points[-1][1])}" for name, points in series.items() if points)
    body = [axes(x, y, section.x_label, section.y_label), _diagonal(x, y) if section.diagonal else "", *lines]
    legend = _legend(list(series), side) if len(series) > 1 else ""
    return _svg(side, HEIGHT, f"{section.title}: {section.y_label} by {section.x_label}. {ends}.", *body, legend)


def _range(section: Curve, values: Sequence[float]) -> Sequence[float]:
    """What an axis must hold: beside the diagonal, shares are drawn from 0 to 1."""
    return [0.0, 1.0] if section.diagonal and all(0 <= value <= 1 for value in values) else values


def scatter(section: Scatter) -> Markup:
    """Draw points; when there are very many, every k-th."""
    points = _known(section.points)
    shown = points[:: -(-len(points) // DOTS) or 1]
    side = SIDE if section.diagonal else WIDTH
    both = list(chain.from_iterable(points)) if section.diagonal else None
    x = scale(both or (x for x, _ in points), LEFT, side - RIGHT)
    y = scale(both or (y for _, y in points), side - BOTTOM if section.diagonal else HEIGHT - BOTTOM, TOP)
    dots = [Markup('<circle cx="{}" cy="{}" r="3"/>').format(x(first), y(second)) for first, second in shown]
    cloud = Markup('<g class="dots">{}</g>').format(Markup("").join(dots))
    alt = f"{section.title}: {section.y_label} by {section.x_label}, {count(len(points), 'point')}"
    alt += "." if len(shown) == len(points) else f", {len(shown):,} of them drawn."
    line = _diagonal(x, y) if section.diagonal else ""
    return _svg(side, round(y.start) + BOTTOM, alt, axes(x, y, section.x_label, section.y_label), line, cloud)


def intervals(section: Bars) -> Markup:
    """Draw one row a bar: its value as a dot, its interval as a line, and the numbers beside them."""
    known = [value for bar in section.bars for value in bar[1:4] if value is not None]
    left = min(230, 18 + 7.8 * max((len(bar.label) for bar in section.bars), default=0))
    bottom = ROW * len(section.bars)
    width = WIDTH if is_narrow(section) else BARS
    x = scale([*known, *([] if section.reference is None else [section.reference])], left, width - 124)
    y = Scale(0, 1, bottom, 0)
    rows = [_row(bar, x, ROW * index + ROW / 2) for index, bar in enumerate(section.bars)]
    mark = "" if section.reference is None else _upright("reference", x(section.reference), 0, bottom)
    alt = "; ".join(f"{bar.label} {score(bar.value)}" for bar in section.bars)
    title = f"{section.title}: {alt}."
    return _svg(width, bottom + BOTTOM, title, x_axis(x, y, section.x_label), mark, *rows)


def strip(model: Score, baseline: Score) -> Markup:
    """Draw a score between 0 and 1 as a dot with its interval, the baseline as a tick; empty for other scores.

    The numbers stand beside it, so it is hidden from screen readers.
    """
    known = [value for value in (*model, *baseline) if value is not None]
    if model.value is None or not all(0 <= value <= 1 for value in known):
        return Markup("")
    x = Scale(0, 1, 4, 156)
    parts = [Markup('<path class="axis" d="M4 10H156"/>')]
    if baseline.value is not None:
        parts.append(_upright("reference", x(baseline.value), 3, 17))
    return Markup('<svg class="strip" viewBox="0 0 160 20" aria-hidden="true">{}</svg>').format(
        Markup("").join([*parts, _interval(model, x, 10)])
    )


def _svg(width: float, height: float, alt: str, *parts: Markup | str) -> Markup:
    return Markup(
        '<svg class="plot" viewBox="0 0 {0} {1}" style="max-width:{0}px;min-width:{2}px" role="img" aria-label="{3}">'
        "{4}</svg>"
    ).format(width, height, round(SMALLEST * width), alt, Markup("").join(parts))


def _line(index: int, points: Sequence[tuple[float, float]], x: Scale, y: Scale) -> Markup:
    places = " ".join(f"{x(first)},{y(second)}" for first, second in points)
    marks = [Markup('<circle cx="{}" cy="{}" r="3.5"/>').format(x(a), y(b)) for a, b in points if len(points) <= 30]
    return Markup('<g class="line s{}"><polyline points="{}"/>{}</g>').format(index, places, Markup("").join(marks))


def _legend(names: Sequence[str], width: float) -> Markup:
    entries, right = [], width - RIGHT
    for index, name in reversed(list(enumerate(names))):
        right -= 34 + 6.5 * len(name)
        entries.append(
            Markup('<g class="line s{}"><path d="M{} 10h18"/></g><text class="name" x="{}" y="14">{}</text>').format(
                index % COLOURS, right, right + 24, name
            )
        )
    return Markup("").join(entries)


def _row(bar: Bar, x: Scale, middle: float) -> Markup:
    many = "" if bar.records is None else f" (n = {bar.records:,})"
    return Markup('<text class="name end" x="{}" y="{}">{}</text>{}<text class="num" x="{}" y="{}">{}</text>').format(
        x.start - 10, middle + 4, _short(bar.label), _interval(Score(*bar[1:4]), x, middle), x.end + 16, middle + 4,
        f"{score(bar.value)}{many}",
    )  # fmt: skip


def _interval(value: Score, x: Scale, middle: float) -> Markup:
    parts = []
    if value.low is not None and value.high is not None:
        parts.append(Markup('<path class="interval" d="M{} {}H{}"/>').format(x(value.low), middle, x(value.high)))
    if value.value is not None:
        parts.append(Markup('<circle class="value" cx="{}" cy="{}" r="4"/>').format(x(value.value), middle))
    return Markup("").join(parts)


def _upright(kind: str, place: float, top: float, bottom: float) -> Markup:
    return Markup('<path class="{}" d="M{} {}V{}"/>').format(kind, place, top, bottom)


def _diagonal(x: Scale, y: Scale) -> Markup:
    low, high = max(x.low, y.low), min(x.high, y.high)
    return Markup('<path class="reference" d="M{} {}L{} {}"/>').format(x(low), y(low), x(high), y(high))


def _known(points: Iterable[Point]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if x is not None and y is not None]


def _all(series: Iterable[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    return list(chain.from_iterable(series))


def _short(text: str, limit: int = 28) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
