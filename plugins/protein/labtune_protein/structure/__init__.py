"""Coordinates: reading, and what is derived from them."""
