"""Protein tasks for labtune."""
