"""How sections lie on the page: beside each other where two fit, and columns by what they hold."""

from __future__ import annotations

from collections.abc import Sequence

from labtune.evaluation.sections import Bars, Cell, Curve, Figure, Matrix, Scatter, Section, Table

COLUMNS = 5  # of a table that takes half of the page
CHARACTERS = 36  # of its longest cell
DIGITS = frozenset("0123456789.,[]- to\N{MINUS SIGN}\N{EN DASH}")
NARROW = 14  # characters of the longest name of a bar


def is_wide(section: Section) -> bool:
    """Say whether a section needs the whole width of the page."""
    if isinstance(section, Table):
        cells = [cell for row in section.rows for cell in row if isinstance(cell, str)]
        widest = max(map(len, cells), default=0)
        return len(section.columns) > COLUMNS or widest > (CHARACTERS if len(section.columns) < 4 else NARROW)
    if isinstance(section, Matrix):
        return len(section.column_labels) > COLUMNS
    if isinstance(section, Bars):
        return not is_narrow(section)
    return not isinstance(section, Curve | Scatter | Figure)


def is_narrow(section: Bars) -> bool:
    """Say whether the names of all bars are short."""
    return max((len(bar.label) for bar in section.bars), default=0) <= NARROW


def is_figure(cell: Cell) -> bool:
    """Say whether a cell is a number, or a text of numbers such as a score with its interval."""
    return not isinstance(cell, str) or (cell != "" and set(cell) <= DIGITS)


def is_numeric(rows: Sequence[Sequence[Cell]], column: int) -> bool:
    """Say whether most of a column are numbers, so that its name stands to the right as they do."""
    cells = [row[column] for row in rows if column < len(row) and row[column] is not None]
    return 2 * sum(map(is_figure, cells)) > len(cells)
