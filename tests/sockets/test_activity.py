"""What counts as activity on a socket or stream, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openclaw_middleware.core.contract import Live
from openclaw_middleware.errors import StoreUnavailable
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.memory import AsyncMemoryStore
from openclaw_middleware.testing import Clock, Counting, Fault, Gate, wrap
from tests.sockets.conftest import Open
from tests.sockets.site import PATIENCE, Site, until

pytestmark = pytest.mark.filterwarnings("error")

IDLE = 1000.0
INTERVAL = IDLE / 10


class Bench:
    """A site on a memory store whose trips are counted and whose time stands still."""

    def __init__(self, open_site: Open, *faults: Fault, **settings: Any) -> None:
        self.clock = Clock()
        self.trips = Counting()
        self.inner = AsyncMemoryStore(StoreOptions(clock=self.clock))
        store = wrap(self.inner, self.trips, *faults)
        settings = {"idle_timeout": IDLE, "socket_poll_interval": 60, **settings}
        self.site: Site = open_site(store=store, clock=self.clock, **settings)
        self.session_id, self.cookie = self.site.sign_in("ada")

    @property
    def last_active(self) -> float:
        found = self.site.call(self.inner.load(self.session_id))
        assert isinstance(found, Live)
        return found.record.last_active_at

    def settled(self) -> None:
        """Nothing waits in the server; the trips up to here are not counted."""
        until(lambda: self.site.at_ease)
        self.trips.reset()


@pytest.fixture
def bench(open_site: Open) -> Bench:
    return Bench(open_site)


def talk(socket: Any, count: int = 1) -> None:
    for n in range(count):
        socket.send(f"[{n}]")
        assert socket.recv(timeout=PATIENCE) == f"[{n}]"


def test_a_thousand_messages_cost_no_trip(bench: Bench) -> None:
    with bench.site.socket(bench.cookie) as socket:
        socket.recv()
        bench.settled()
        talk(socket, 1000)
        assert bench.trips.total == 0


def test_a_thousand_messages_cost_one_touch_when_it_is_due(bench: Bench) -> None:
    with bench.site.socket(bench.cookie) as socket:
        socket.recv()
        bench.settled()
        bench.clock.advance(INTERVAL + 1)
        talk(socket, 1000)
        until(lambda: bench.last_active == bench.clock())
        assert dict(bench.trips.trips) == {"touch": 1}
        bench.settled()
        bench.clock.advance(INTERVAL - 1)
        talk(socket, 10)
        assert bench.trips.total == 0
        bench.clock.advance(1)
        talk(socket, 10)
        until(lambda: bench.last_active == bench.clock())
        assert dict(bench.trips.trips) == {"touch": 1}


def test_two_sockets_of_a_session_touch_it_once(bench: Bench) -> None:
    with bench.site.socket(bench.cookie) as one, bench.site.socket(bench.cookie) as other:
        one.recv()
        other.recv()
        bench.settled()
        bench.clock.advance(INTERVAL + 1)
        talk(one, 100)
        talk(other, 100)
        until(lambda: bench.last_active == bench.clock())
        assert dict(bench.trips.trips) == {"touch": 1}


def test_a_touch_never_delays_a_message(open_site: Open) -> None:
    """The store does not answer it, and the echo comes all the same."""
    gate = Gate("touch", patience=PATIENCE)
    bench = Bench(open_site, gate)
    with bench.site.socket(bench.cookie) as socket:
        socket.recv()
        bench.settled()
        bench.clock.advance(INTERVAL + 1)
        talk(socket)
        bench.site.call(_reached(gate))
        talk(socket, 100)
        assert bench.last_active < bench.clock()
        gate.open()
        until(lambda: bench.last_active == bench.clock() and bench.site.at_ease)
        assert dict(bench.trips.trips) == {"touch": 1}


async def _reached(gate: Gate) -> None:
    await gate.reached()


def test_pings_and_what_is_sent_do_not_count(bench: Bench) -> None:
    """A page nobody looks at keeps nobody signed in, however much it is told."""
    before = bench.last_active
    with bench.site.socket(bench.cookie, "/broadcast") as socket:
        bench.settled()
        bench.clock.advance(INTERVAL + 1)
        for _ in range(20):
            pong = socket.ping()
            while not pong.is_set():
                assert socket.recv(timeout=PATIENCE) == '"tick"'
    until(lambda: not bench.site.tasks)
    assert bench.trips.total == 0
    assert bench.last_active == before


def test_the_end_of_a_silent_socket_does_not_count(bench: Bench) -> None:
    before = bench.last_active
    with bench.site.socket(bench.cookie) as socket:
        socket.recv()
        bench.settled()
        bench.clock.advance(INTERVAL + 1)
    until(lambda: not bench.site.tasks)
    assert bench.trips.total == 0
    assert bench.last_active == before


def test_a_late_save_does_not_count(bench: Bench) -> None:
    """Only a message does, and this one comes before a touch is due."""
    before = bench.last_active
    with bench.site.socket(bench.cookie) as socket:
        socket.recv()
        socket.send('["set", "said", 1]')
        socket.recv()
        bench.settled()
        bench.clock.advance(INTERVAL - 1)
        socket.send('["save"]')
        socket.recv()
        assert dict(bench.trips.trips) == {"save": 1}
        assert bench.last_active == before


def test_the_handshake_counts(bench: Bench) -> None:
    bench.clock.advance(INTERVAL + 1)
    with bench.site.socket(bench.cookie) as socket:
        socket.recv()
        until(lambda: bench.last_active == bench.clock())
        bench.settled()
        talk(socket, 10)
        assert bench.trips.total == 0


def test_on_a_passive_path_nothing_counts(open_site: Open) -> None:
    bench = Bench(open_site, passive_paths=["/poll"])
    before = bench.last_active
    bench.clock.advance(INTERVAL + 1)
    with bench.site.socket(bench.cookie, "/poll/socket") as socket:
        socket.recv()
        bench.settled()
        talk(socket, 100)
        bench.clock.advance(INTERVAL + 1)
        talk(socket, 100)
    until(lambda: not bench.site.tasks)
    assert bench.trips.total == 0
    assert bench.last_active == before


def test_a_stream_counts_when_it_starts_and_not_after(bench: Bench) -> None:
    bench.clock.advance(INTERVAL + 1)
    with bench.site.stream(bench.cookie) as response:
        started = bench.clock()
        until(lambda: bench.last_active == started)
        bench.settled()
        bench.clock.advance(INTERVAL + 1)
        for _ in range(20):
            assert response.readline() == b"data: tick\n"
            assert response.readline() == b"\n"
    until(lambda: not bench.site.tasks)
    assert bench.trips.total == 0
    assert bench.last_active == started


class Away(Fault):
    """The store is out of reach while `on`."""

    on = False
    refused = 0

    def around(self, operation: str, call: Any) -> Any:
        if self.on:
            self.refused += 1
            raise StoreUnavailable("away", operation=operation)
        answer = yield call()
        return answer


def test_activity_during_an_outage_counts_from_when_it_was(open_site: Open) -> None:
    away = Away()
    bench = Bench(open_site, away, socket_poll_interval=0.2)
    with bench.site.socket(bench.cookie) as socket:
        socket.recv()
        bench.settled()
        away.on = True
        bench.clock.advance(INTERVAL + 1)
        acted = bench.clock()
        talk(socket, 100)
        rounds = away.refused
        until(lambda: away.refused >= rounds + 3)
        bench.clock.advance(INTERVAL + 1)
        away.on = False
        until(lambda: bench.last_active == pytest.approx(acted, abs=0.001))


def test_an_application_sees_its_session_was_used(open_site: Open) -> None:
    """With a limit lowered since, a save is let through by the activity on the socket."""
    bench = Bench(open_site)
    with bench.site.socket(bench.cookie) as socket:
        socket.recv()
        bench.settled()
        rules = bench.site.runtime.desk.rules
        lower = {**rules.policies, "default": replace(rules.policies["default"], idle_timeout=500)}
        object.__setattr__(rules, "policies", lower)
        for _ in range(3):
            bench.clock.advance(300)
            talk(socket)
            until(lambda: bench.last_active == bench.clock())
        socket.send('["set", "said", 1]')
        socket.recv()
        socket.send('["save"]')
        socket.recv()
        (_, data), _ = bench.site.get("/act/look", bench.cookie)
        assert data == {"n": 0, "said": 1}
