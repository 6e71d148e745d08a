"""Train the head alone on a frozen encoder: the cheapest method, and the floor to compare the others with."""

from __future__ import annotations

from dataclasses import dataclass

from labtune.encoder.methods.base import Method


@dataclass(frozen=True)
class Head(Method):
    """Nothing of the encoder learns."""

    name = "head"
