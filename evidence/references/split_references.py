"""Placeholder until the splitter is merged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GivenText:
    """x"""

    text: str
    number: str | None = None


def split(text: str) -> tuple[GivenText, ...]:
    """x"""
    return tuple(GivenText(" ".join(line.split())) for line in text.splitlines() if line.strip())
