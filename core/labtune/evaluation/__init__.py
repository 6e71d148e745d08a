"""Judging a model: scores with intervals, baselines, and the report."""
