"""The report: one self-contained page, made from the files of a run folder alone."""

from labtune.evaluation.report.page import write_report

__all__ = ["write_report"]
