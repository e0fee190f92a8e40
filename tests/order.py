"""Which files are begun first where the tests run in several processes.

A file runs in one process (`--dist loadfile`). One that takes a minute and is begun last keeps one
core busy for a minute while all others have nothing left to do, so the long ones come first; how
many tests a file has, by which pytest-xdist would order them, says little. A plugin, registered by
`conftest`; it changes nothing where there is one process.
"""

from __future__ import annotations

import pytest

LONG = """
    heartbeat/browser/test_proxies
    stores/test_deadline
    stores/test_conformance
    heartbeat/browser/test_dialog
    heartbeat/test_hidden_tabs
    fire/test_outage
    client/test_element
    examples/test_demo
    stores/test_sql_outage
    sockets/test_endings
    heartbeat/browser/test_reasons
    heartbeat/browser/test_proxies_in_the_way
    heartbeat/test_hidden_sites
    sockets/test_outages
    fire/test_killed
    test_servers
    adapters/django/test_example
"""
"""Below `tests`, the longest first. One left out is begun later: that costs time, no more."""


def rank(nodeid: str) -> int:
    """The place in the order of the file a test is in."""
    name = nodeid.partition("::")[0].removeprefix("tests/").removesuffix(".py")
    order = LONG.split()
    return order.index(name) if name in order else len(order)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the long files first, in each of the processes that run tests."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))
