"""A map of points in classes as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

# Eight colours that people with any colour vision tell apart (Okabe and Ito 2008), readable on light and dark; further
# classes get them again with another shape.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A600", "#808080")
SHAPES = (
    "M-3,0a3,3 0 1,0 6,0a3,3 0 1,0 -6,0",  # disc
    "M-2.7,-2.7h5.4v5.4h-5.4z",  # square
    "M0,-3.6L3.4,2.6H-3.4z",  # triangle
    "M0,-3.8L3.8,0L0,3.8L-3.8,0z",  # diamond
)
SIZE, MARGIN, LINE, LEGEND = 420, 12, 18, 230  # pixels: of the map, around it, of a legend line, and its width


def draw_classes(points: NDArray[np.float64], classes: Sequence[str], names: Sequence[str]) -> str:
    """Draw points ``(R, 2)`` marked by class, with a legend of the classes that occur.

    Parameters
    ----------
    points
        Anywhere on the plane.
    classes
        Of each point.
    names
        All classes, which fixes their marks.
    """
    known = list(dict.fromkeys([*names, *classes]))
    marks = {name: number for number, name in enumerate(known)}
    low, high = points.min(0), points.max(0)
    places = MARGIN + (points - low) / np.maximum(high - low, 1e-12) * (SIZE - 2 * MARGIN)  # (R, 2)
    dots = [_mark(marks[name], x, SIZE - y) for (x, y), name in zip(places.tolist(), classes, strict=True)]
    shown = [name for name in known if name in set(classes)]
    legend = [_entry(marks[name], name, row) for row, name in enumerate(shown)]
    height = max(SIZE, 2 * MARGIN + LINE * len(shown))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE + LEGEND} {height}">'
        "<style>text{font:13px system-ui,sans-serif;fill:#333}"
        "@media (prefers-color-scheme:dark){text{fill:#ddd}}</style>"
        f'<g fill-opacity="0.75">{"".join(dots)}</g>{"".join(legend)}</svg>'
    )


def _mark(number: int, x: float, y: float) -> str:
    colour, shape = COLOURS[number % len(COLOURS)], SHAPES[number // len(COLOURS) % len(SHAPES)]
    return f'<path d="{shape}" fill="{colour}" transform="translate({x:.1f},{y:.1f})"/>'


def _entry(number: int, name: str, row: int) -> str:
    y = MARGIN + LINE * (row + 0.5)
    short = name if len(name) <= 28 else f"{name[:27]}…"
    return f'{_mark(number, SIZE + 10, y)}<text x="{SIZE + 22}" y="{y + 4.5:.1f}">{escape(short)}</text>'
