"""The moves of the game, each with numbers for arguments, so that anything can choose them."""

from __future__ import annotations

from typing import Any

from .oracle import TAKE_ONCE
from .request import Request
from .world import FATES, Browser, World

KINDS = (("set", "a"), ("set", "b"), ("delete", "a"), ("add", "n"), ("push", "log"),
         ("delete", "log"), ("nest", "prefs"), ("delete", "prefs"), ("set", "own"),
         ("set", TAKE_ONCE), ("mark", "tags"), ("delete", "tags"))  # fmt: skip
TIMES = (0.000001, 1.0, 29.0, 31.0, 180.0, 301.0, 1799.0, 1800.0, 28800.0)
SECRET = "A" * 43


class Player:
    """Makes moves in a world; a move that is impossible at the moment does nothing."""

    def __init__(self, world: World, requests_at_once: int = 5) -> None:
        self.world = world
        self.most = requests_at_once

    def open(self, how: int) -> None:
        """What came before: nothing (0), a visitor with data (1), somebody signed in (2), or the
        same in two tabs, whose requests soon meet (from 3)."""
        world = self.world
        if how == 0:
            return
        first, second = world.browsers
        request = world.begin(first)
        for kind, key in KINDS[:-1]:
            if kind != "delete":
                request.change(kind, key)
        if how > 1:
            request.login(world.users[0])
        request.commit()
        world.finish(request)
        if how > 2:
            second.cookie = first.cookie
            second.held.extend(first.held)

    def _pick(self, which: int, stages: tuple[str, ...]) -> Request | None:
        fit = [each for each in self.world.requests if each.stage in stages]
        return fit[which % len(fit)] if fit else None

    def _waiting(self, which: int) -> Request | None:
        fit = [each for each in self.world.requests if each.run and each.run.call]
        return fit[which % len(fit)] if fit else None

    def begin(self, which: int, kind: int) -> None:
        """A browser sends a request; sometimes a copy of its cookie does."""
        world = self.world
        if len(world.requests) >= self.most:
            return
        browser = world.browsers[which % len(world.browsers)]
        if kind == 1:
            browser = Browser(browser.cookie)
        elif kind == 2 and browser.held:
            browser = Browser(browser.held[which % len(browser.held)])
        world.begin(browser, navigation=kind % 2 == 0, passive=kind == 3)

    def step(self, which: int, fate: int) -> None:
        """One store call happens."""
        request = self._waiting(which)
        if request is not None:
            self.world.step(request, FATES[fate] if fate < len(FATES) else "answered")

    def finish(self, which: int) -> None:
        """One request's stage runs to its end."""
        request = self._waiting(which)
        if request is not None:
            self.world.finish(request)

    def change(self, which: int, what: int) -> None:
        """Change a key."""
        request = self._pick(which, ("app",))
        if request is not None:
            kind, key = KINDS[what % len(KINDS)]
            request.change(kind, f"own{request.number}" if key == "own" else key)

    def identity(self, which: int, what: int, whom: int) -> None:
        """Do something to who is signed in."""
        request = self._pick(which, ("app",))
        if request is None:
            return
        user = self.world.users[whom % len(self.world.users)]
        ids = self.world.known
        moves: tuple[Any, ...] = (
            lambda: request.login(user),
            request.logout,
            request.regenerate,
            lambda: request.end_user(others=False),
            lambda: request.end_user(others=True),
            lambda: request.end_other(ids[whom % len(ids)]) if ids else None,
            request.keep_alive,
            lambda: request.use_policy(("default", "remember")[whom % 2]),
            request.read,
        )
        moves[what % len(moves)]()

    def take(self, which: int) -> None:
        """Ask for the one-time value."""
        request = self._pick(which, ("app",))
        if request is not None:
            request.take(TAKE_ONCE)

    def reload(self, which: int) -> None:
        """Look afresh."""
        request = self._pick(which, ("app",))
        if request is not None:
            request.reload()

    def save(self, which: int) -> None:
        """Commit in mid-request."""
        request = self._pick(which, ("app",))
        if request is not None:
            request.save(patient=which % 2 == 1)

    def commit(self, which: int, how: int) -> None:
        """The handler returns."""
        request = self._pick(which, ("app",))
        if request is not None:
            request.commit(failed=how == 1, streams=how == 2)

    def crash(self, which: int) -> None:
        """A process dies."""
        if self.world.requests:
            self.world.crash(self.world.requests[which % len(self.world.requests)])

    def lose_response(self, which: int) -> None:
        """A response gets lost on its way."""
        if self.world.requests:
            self.world.lose_response(self.world.requests[which % len(self.world.requests)])

    def advance(self, which: int) -> None:
        """Time passes."""
        self.world.advance(TIMES[which % len(TIMES)])

    def attack(self, which: int, generation: int) -> None:
        """Somebody guesses."""
        ids = [*self.world.live]
        if ids:
            victim = ids[which % len(ids)]
            near = self.world.live[victim].record.generation + generation % 4 - 2
            self.world.attack(victim, max(near, 0), SECRET)

    def erase_index(self) -> None:
        """Somebody deletes the index."""
        self.world.erase_index()
