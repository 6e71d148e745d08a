"""Sentiment of financial sentences for labtune."""
