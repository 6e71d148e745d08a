"""Scales and axes of plots: from numbers to places on a drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from labtune.evaluation.report.words import MINUS, number


@dataclass(frozen=True)
class Scale:
    """Maps ``low … high`` linearly to ``start … end`` in units of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Place a value, rounded to a tenth of a unit."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[float]:
        """Round values within the scale, about five."""
        step = round_step(self.high - self.low)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]


def scale(values: Iterable[float], start: float, end: float) -> Scale:
    """Choose a scale whose ends are round and that holds all values."""
    numbers = list(values) or [0.0, 1.0]
    low, high = min(numbers), max(numbers)
    if low == high:
        room = abs(low) / 2 or 1.0
        low, high = low - room, high + room
    step = round_step(high - low)
    return Scale(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, end)


def round_step(span: float) -> float:
    """Return the distance between about five ticks: 1, 2 or 5 times a power of ten."""
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999))


def tick(value: float) -> str:
    """Label of a tick; large numbers in thousands, tiny ones with an exponent."""
    text = f"{value / 1000:,.6g}k" if abs(value) >= 10_000 else f"{value:.6g}"
    return number(text.replace("e-0", f"e{MINUS}"))


def x_axis(x: Scale, y: Scale, name: str) -> Markup:
    """Draw the line along the bottom of the plot, its ticks and its name."""
    ticks = [
        Markup('<path class="tick" d="M{0} {1}v5"/><text class="num mid" x="{0}" y="{2}">{3}</text>').format(
            x(value), y.start, y.start + 18, tick(value)
        )
        for value in x.ticks
    ]
    line = Markup('<path class="axis" d="M{} {}H{}"/>').format(x.start, y.start, x.end)
    label = Markup('<text class="name end" x="{}" y="{}">{}</text>').format(x.end, y.start + 36, name)
    return Markup("").join([line, *ticks, label])


def y_axis(x: Scale, y: Scale, name: str) -> Markup:
    """Draw a faint line across the plot at each tick, and the name upright, above the axis."""
    ticks = [
        Markup('<path class="grid" d="M{} {}H{}"/><text class="num end" x="{}" y="{}">{}</text>').format(
            x.start, y(value), x.end, x.start - 8, y(value) + 4, tick(value)
        )
        for value in y.ticks
    ]
    return Markup("").join([*ticks, Markup('<text class="name" x="2" y="14">{}</text>').format(name)])


def axes(x: Scale, y: Scale, x_name: str, y_name: str) -> Markup:
    """Draw both axes."""
    return y_axis(x, y, y_name) + x_axis(x, y, x_name)
