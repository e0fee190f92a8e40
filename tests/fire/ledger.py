"""Counts trials and failures by promise, store and colour, and prints the table at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TRIALS = int(os.environ.get("OPENCLAW_TEST_TRIALS", "0")) or 10
"""How often a forced interleaving is repeated; a variable makes long runs of it."""


class Trials:
    """The trials of one promise in one place."""

    def __init__(self) -> None:
        self.made = 0
        self.failed = 0
        self.details: list[str] = []

    def check(self, kept: object, detail: object = "") -> None:
        """One trial: was the promise kept?"""
        self.made += 1
        if not kept:
            self.failed += 1
            self.details.append(str(detail))


class Ledger:
    """All trials of a run."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Trials]] = {}
        self.notes: list[str] = []

    def _count(self, promise: str, place: str, made: int, failed: int) -> None:
        total = self.rows.setdefault(promise, {}).setdefault(place, Trials())
        total.made += made
        total.failed += failed

    def packed(self) -> list[Any]:
        """The rows and notes as plain lists."""
        rows = [
            [promise, place, trials.made, trials.failed]
            for promise, row in self.rows.items()
            for place, trials in row.items()
        ]
        return [rows, self.notes]

    def add(self, packed: list[Any]) -> None:
        """Add the rows and notes of another ledger."""
        rows, notes = packed
        for row in rows:
            self._count(*row)
        self.notes += notes

    @contextmanager
    def trials(self, promise: str, place: str) -> Iterator[Trials]:
        """Count trials; at the end every one of them must have succeeded."""
        trials = Trials()
        try:
            yield trials
        except BaseException:
            trials.made += 1
            trials.failed += 1
            raise
        finally:
            self._count(promise, place, trials.made, trials.failed)
        assert trials.made, "nothing was tried"
        assert not trials.failed, f"{trials.failed} of {trials.made}: {trials.details[:5]}"

    def lines(self) -> Iterator[str]:
        """The table: a row for each promise, trials/failures in each place."""
        places = sorted({place for row in self.rows.values() for place in row})
        width = max((len(promise) for promise in self.rows), default=0)
        wide = [max(len(place), 7) for place in places]
        head = "  ".join(f"{place:>{w}}" for place, w in zip(places, wide, strict=True))
        yield f"{'trials/failures':<{width}}  {head}"
        for promise, row in sorted(self.rows.items()):
            cells = (
                f"{f'{row[place].made}/{row[place].failed}' if place in row else '-':>{w}}"
                for place, w in zip(places, wide, strict=True)
            )
            yield f"{promise:<{width}}  {'  '.join(cells)}"
        yield from self.notes
