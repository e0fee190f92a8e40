"""Several requests of one session, several tasks in each, a store that refuses and loses answers.

At random, each game from its seed: what a save has confirmed is there, once; anything else at most
once; whoever signed out last is signed out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from openclaw_middleware import Session, StoreUnavailable
from openclaw_middleware.core.exchange import Exchange
from openclaw_middleware.core.request import RequestInfo
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.driver import AsyncDriver
from openclaw_middleware.stores.memory import AsyncMemoryStore
from openclaw_middleware.testing import Fault, wrap

from .lab import Browser, Lab

RATE = 0.12


class Chance(Fault):
    """Takes a while over each call; refuses some, and loses the answers of others."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        fate = self.chance.random() if operation != "load" else 0.5
        yield from self._while()
        if fate < RATE:
            raise StoreUnavailable("refused", operation=operation)
        answer = yield call()
        yield from self._while()
        if fate > 1 - RATE:
            raise StoreUnavailable("lost", operation=operation)
        return answer

    def _while(self) -> Steps[None]:
        for _ in range(self.chance.randrange(4)):
            yield asyncio.sleep(0)


class Visit:
    """One request of several tasks; `written` tells what they wrote, `confirmed` what is saved."""

    def __init__(self, game: Game, browser: Browser) -> None:
        self.game, self.chance = game, game.chance
        self.browser = browser
        info = RequestInfo(cookies=f"{game.lab.desk.cookie.name}={browser.cookie}")
        self.x = Exchange(game.lab.desk, info)
        self.driver = self.chance.choice(game.drivers)
        self.session = Session(self.x, None, self.driver)
        self.held: list[int] = []
        self.written: list[int] = []
        self.confirmed: set[int] = set()
        self.user: str | None = "ada"

    async def run(self, kinds: str) -> None:
        await self.driver.load(self.x)
        self.held = self.session["held"]
        await asyncio.gather(*(self._task(kinds.split()) for _ in range(3)))
        for _ in range(50):
            with suppress(StoreUnavailable):
                await self.save(self.driver.commit(self.x))
                break
        for name, value in self.x.finish_headers([]):
            if name == "Set-Cookie":
                pair, _, attributes = value.partition(";")
                self.browser.cookie = None if "Max-Age=0" in attributes else pair.partition("=")[2]

    async def _task(self, kinds: list[str]) -> None:
        for _ in range(self.chance.randrange(1, 7)):
            for _ in range(self.chance.randrange(3)):
                await asyncio.sleep(0)
            with suppress(StoreUnavailable, asyncio.CancelledError):
                await getattr(self, self.chance.choice(kinds))()

    async def save(self, saving: Any = None) -> None:
        written = list(self.written)
        await (saving or self.session.asave())
        self.confirmed.update(written)

    async def cancel(self) -> None:
        saving = asyncio.ensure_future(self.session.asave())
        for _ in range(self.chance.randrange(6)):
            await asyncio.sleep(0)
        saving.cancel()
        await saving

    async def reload(self) -> None:
        await self.session.areload()

    def _number(self) -> int:
        self.game.count += 1
        self.written.append(self.game.count)
        return self.game.count

    async def apply(self) -> None:
        number = self._number()
        self.session.apply("log", lambda log: [*log, number])

    async def append(self) -> None:
        self.session["log"].append(self._number())

    async def held_append(self) -> None:
        self.held.append(self._number())

    async def set(self) -> None:
        number = self._number()
        self.session[str(number)] = number

    async def nest(self) -> None:
        number = self._number()
        self.session["nest"][str(number)] = number

    async def leave(self) -> None:
        self.session.logout()
        self.user = None
        self.written.clear()

    async def enter(self) -> None:
        user = self.chance.choice(["ada", "bob"])
        if self.session.user_id not in (None, user):
            self.written.clear()
        self.session.login(user)
        self.user = user

    async def renew(self) -> None:
        self.session.regenerate()


class Game:
    """A session of Ada's with some data, and what is to be played with it."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.count = 0
        self.lab = Lab()
        self.browser = self.lab.browser()
        self.browser.sign_in("ada")
        self.browser.visit(log=[], held=[], nest={})
        store = AsyncMemoryStore(
            replace(self.lab.store.options, clock=self.lab.clock), state=self.lab.store.state
        )
        self.drivers = [AsyncDriver(wrap(store, Chance(self.chance))) for _ in range(2)]

    def stored(self) -> list[int]:
        data = self.browser.data()
        log, held, nest = (data.pop(key, []) for key in ("log", "held", "nest"))
        return [*log, *held, *map(int, nest), *map(int, data)]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is asked again at once, however often it failed."""
    monkeypatch.setattr("openclaw_middleware.core.breaker.BREAK_AFTER", 10**6)


@pytest.mark.parametrize("seed", range(50))
async def test_what_several_tasks_of_several_requests_write_is_stored_once(seed: int) -> None:
    """Whatever of it was confirmed by a save, and nothing twice."""
    game = Game(seed)
    visits = [Visit(game, game.browser) for _ in range(3)]
    kinds = "apply append held_append set nest save save cancel reload"
    await asyncio.gather(*(visit.run(kinds) for visit in visits))

    stored = game.stored()
    assert len(stored) == len(set(stored))
    assert set().union(*(visit.confirmed for visit in visits)) <= set(stored)


@pytest.mark.parametrize("seed", range(100))
async def test_who_signs_in_or_out_last_is_heard_whatever_its_other_tasks_do(seed: int) -> None:
    """The data at hand since are stored with the new session, and the old one is over."""
    game = Game(seed)
    old = game.browser.twin()
    visit = Visit(game, game.browser)
    await visit.run("leave enter renew set set save save reload")

    assert visit.session.user_id == visit.user == game.browser.user()
    assert set(visit.written) <= set(game.stored())
    if game.browser.cookie != old.cookie:
        assert old.user() is None
