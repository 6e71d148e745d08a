"""The bundled files are what the stated rules make."""

import csv

import pytest

from labtune_expression import simulate
from labtune_expression.data import FOLDER

FILES = {
    "promoters_train.csv": lambda: simulate.promoters(320, 1),
    "promoters_valid.csv": lambda: simulate.promoters(60, 2),
    "promoters_test.csv": lambda: simulate.promoters(60, 3),
    "cells.csv": lambda: simulate.cells(1),
}


@pytest.mark.parametrize("name", FILES)
def test_file_follows_its_rule(name):
    with (FOLDER / name).open(newline="") as file:
        assert list(csv.DictReader(file)) == list(FILES[name]())
