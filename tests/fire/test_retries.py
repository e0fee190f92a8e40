"""A hundred increments by four processes, some of whose answers get lost, are a hundred.

Two processes are blocking, two asyncio; each has a few requests under way at once, and each of them
saves again until it hears that it was saved. `OPENCLAW_TEST_TRIALS` makes more of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack

import pytest

from .browsing import ROOT
from .ledger import TRIALS, Ledger
from .places import Place, Sites, fresh_user
from .visits import COOKIE, read

PROCESSES = ("sync", "async", "sync", "async")
EACH = 25 * max(1, TRIALS // 10)


def process(place: Place, colour: str, first: int, cookie: str) -> subprocess.Popen[str]:
    """A process that is about to count; it ends by itself."""
    where = [place.name, place.url, place.namespace]
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.fire.counting",
            colour,
            *where,
            str(first),
            str(EACH),
            cookie,
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("place", ["sqlite", "postgres", "mariadb", "redis"], indirect=True)
def test_increments_of_four_processes_with_lost_replies_are_exact(
    sites: Sites, place: Place, ledger: Ledger
) -> None:
    """Not one more, not one less; every appended number once."""
    site = sites("flask", place)
    ada = site.signed_in(fresh_user(), n=0, log=[])
    with ExitStack() as stack:
        processes = [
            stack.enter_context(process(place, colour, EACH * number, f"{COOKIE}={ada.cookie}"))
            for number, colour in enumerate(PROCESSES)
        ]
        for each in processes:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in processes:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        told: Counter[str] = Counter()
        for each in processes:
            assert each.stdout is not None
            told.update(json.loads(each.stdout.readline()))
    data = ada.ok(read)
    total = EACH * len(PROCESSES)
    with ledger.trials("4 processes, replies lost: exact", place.name) as trials:
        trials.check(data["n"] == total, (data["n"], total, told))
        twice = [number for number, times in Counter(data["log"]).items() if times > 1]
        trials.check(not twice and sorted(data["log"]) == list(range(total)), (twice, told))
    assert told["lost"] >= len(PROCESSES), told
    assert told["refused"] >= len(PROCESSES), told
    ledger.notes.append(f"4 processes on {place.name}: {total} counted, {dict(told)}")
