"""Cells and samples: from the expression of many genes to a class."""
