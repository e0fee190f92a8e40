"""What a run says at its end: what was not tested, and the trials under fire.

A plugin, registered by `conftest`. The tests may run in several processes (pytest-xdist): each
gathers its own, and hands it to the one that prints. The tests reach theirs by `summary_of`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.fire.ledger import Ledger


class Summary:
    """What one process has to tell."""

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.ledger = Ledger()

    def packed(self) -> dict[str, Any]:
        """It, in what can be sent to another process."""
        return {"missing": sorted(self.missing), "ledger": self.ledger.packed()}

    def add(self, packed: dict[str, Any]) -> None:
        """Take in what another process sent."""
        self.missing.update(packed["missing"])
        self.ledger.add(packed["ledger"])


_SUMMARY = pytest.StashKey[Summary]()
_KEY = "openclaw"


def summary_of(config: pytest.Config) -> Summary:
    return config.stash.setdefault(_SUMMARY, Summary())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of several: hand over what there is to tell."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_KEY] = summary_of(session.config).packed()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the process that prints: take it in. One that crashed has handed over nothing."""
    packed = getattr(node, "workeroutput", {}).get(_KEY)
    if packed is not None:
        summary_of(node.config).add(packed)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    summary = summary_of(terminalreporter.config)
    for name in sorted(summary.missing):
        terminalreporter.write_line(f"NOT TESTED: {name} was not found", red=True, bold=True)
    if summary.ledger.rows:
        terminalreporter.section("promises under fire")
        for line in summary.ledger.lines():
            terminalreporter.write_line(line)
