"""Every store against the public conformance suite, in both colours, on real servers."""

from __future__ import annotations

import pytest

from openclaw_middleware.core.steps import Steps
from openclaw_middleware.stores.memory import AsyncMemoryStore, MemoryState, MemoryStore
from openclaw_middleware.testing import StoreConformance


class TestMemory(StoreConformance):
    @pytest.fixture
    def make_store(self):
        states: dict[str, MemoryState] = {}

        def make(colour, options):
            state = states.setdefault(options.namespace, MemoryState())
            return (MemoryStore if colour == "sync" else AsyncMemoryStore)(options, state=state)

        return make

    @pytest.fixture
    def erase_index(self):
        def erase(store, tag) -> Steps[None]:
            yield from ()
            store.state.users.clear()

        return erase
