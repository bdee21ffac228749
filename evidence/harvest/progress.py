"""Progress reports of a long run."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told what is being done: a bar on a terminal, nothing elsewhere."""

    def step(self, label: str, done: int, total: int | None) -> None:
        """`done` of `total` steps of `label` are done (total None: not known)."""
        ...


class NoProgress:
    """`Progress` for scripts and tests: shows nothing."""

    def step(self, label: str, done: int, total: int | None) -> None:
        """Do nothing."""
