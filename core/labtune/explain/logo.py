"""Attributions drawn: letters as high as what they carry, words on a ground that is as deep."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from labtune.evaluation.report.axes import Scale, scale, tick
from labtune.explain.attribution import Explanation

ROW = 80  # letters a line
LETTER = 12.0  # width of a letter
HEIGHT = 110
LEFT, TOP, BOTTOM = 52, 8, 20
# Of the glyphs in a bold monospaced face, in shares of the font size: what stretches them to a box.
CAP, ADVANCE = 0.72, 0.6
SIZE = 10
TICKS = 10  # letters between two numbers under the line


def is_logo(explanation: Explanation) -> bool:
    """Whether every piece is one letter, so that it can be drawn as high as its attribution."""
    return all(len(piece) == 1 for piece in explanation.pieces)


def logo(explanation: Explanation) -> list[Markup]:
    """Draw a logo, one picture for each line of letters, all on one scale."""
    values = explanation.attributions.tolist()
    y = scale([0.0, *values], HEIGHT - BOTTOM, TOP)
    colours = {letter: index for index, letter in enumerate(explanation.symbols or sorted(set(explanation.pieces)))}
    starts = range(0, len(values), ROW)
    return [_line(explanation, start, values[start : start + ROW], y, colours) for start in starts]


def _line(explanation: Explanation, start: int, values: Sequence[float], y: Scale, colours: dict[str, int]) -> Markup:
    width = LEFT + LETTER * ROW + 8
    letters = [
        _letter(explanation.pieces[start + place], LEFT + LETTER * place, y(0), y(value), colours)
        for place, value in enumerate(values)
    ]
    axis = Markup('<path class="axis" d="M{} {}H{}"/>').format(LEFT, y(0), LEFT + LETTER * len(values))
    heights = [
        Markup('<text class="num end" x="{}" y="{}">{}</text>').format(LEFT - 8, y(value) + 4, tick(value))
        for value in (y.low, 0, y.high)
        if value == 0 or abs(y(value) - y(0)) > SIZE
    ]
    numbers = [
        Markup('<text class="num mid" x="{}" y="{}">{}</text>').format(
            LEFT + LETTER * (place + 0.5), HEIGHT - 4, start + place + 1
        )
        for place in range(len(values))
        if (start + place + 1) % TICKS == 0
    ]
    alt = f"{explanation.id}: what letters {start + 1} to {start + len(values)} carry to {explanation.output}"
    return Markup(
        '<svg class="plot logo" viewBox="0 0 {0} {1}" style="max-width:{0}px" role="img" aria-label="{2}">{3}</svg>'
    ).format(width, HEIGHT, alt, Markup("").join([*letters, axis, *heights, *numbers]))


def _letter(letter: str, left: float, zero: float, end: float, colours: dict[str, int]) -> Markup:
    """Stretch a letter from the line to its height; below the line it stands on its head."""
    tall = zero - end
    if abs(tall) < 0.5:
        return Markup("")
    return Markup('<text class="c{}" transform="translate({} {}) scale({} {})">{}</text>').format(
        colours.get(letter, 5) % 6,
        round(left, 1),
        round(zero, 1),
        round(LETTER / (ADVANCE * SIZE), 3),
        round(tall / (CAP * SIZE), 3),
        letter,
    )


def shades(explanation: Explanation) -> list[tuple[str, float]]:
    """Pieces with their share of the largest attribution, -1 to 1."""
    values = explanation.attributions.tolist()
    largest = max((abs(value) for value in values), default=0.0) or 1.0
    return [(piece, round(value / largest, 3)) for piece, value in zip(explanation.pieces, values, strict=True)]
