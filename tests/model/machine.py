"""Hypothesis as the scheduler: it chooses every move, and shrinks what breaks a promise.

`OPENCLAW_TEST_EXAMPLES` multiplies the number of examples; beyond 1 they are drawn afresh each
time instead of being the same ones.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from .player import Player
from .world import World, limit_of

TIMES = float(os.environ.get("OPENCLAW_TEST_EXAMPLES", "1"))
WHICH = st.integers(0, 4)
FRESH = itertools.count()


def examples(count: int) -> int:
    """So many examples, times what the environment asks for."""
    return max(1, int(count * TIMES))


def explore(store: Any, count: int, steps: int = 60) -> None:
    """Let Hypothesis look for a way to break a promise.

    Args:
        store: None: memory, with a clock that moves.
    """

    class Machine(Sessions):
        """On this store."""

        real = store

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples(count),
            stateful_step_count=steps,
            derandomize=TIMES <= 1,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


class Sessions(RuleBasedStateMachine):
    """Every store call of every request is a rule of its own."""

    real: Any = None

    @initialize(
        rotates=st.booleans(),
        lenient=st.booleans(),
        on_ended=st.sampled_from(["drop", "error"]),
        most=st.sampled_from([None, 1, 2]),
        action=st.sampled_from(["end_oldest", "reject"]),
        before=st.integers(0, 3),
    )
    def open(
        self, rotates: bool, lenient: bool, on_ended: str, most: Any, action: str, before: int
    ) -> None:
        number = next(FRESH)
        users, interval, grace = ("ada", "bob"), 300.0, 30.0 if lenient else 1e-6
        if self.real is not None:
            users = (f"ada{number}", f"bob{number}")
            interval, grace = 1e-6, 1e9 if lenient else 1e-6
        self.world = World(
            self.real,
            users,
            rotation_interval=interval if rotates else None,
            rotation_grace=grace,
            on_ended=on_ended,
            limit=limit_of(most, action),
        )
        self.player = Player(self.world)
        self.player.open(before)

    @rule(which=st.integers(0, 3), kind=st.integers(0, 7))
    def begin(self, which: int, kind: int) -> None:
        self.player.begin(which, kind)

    @rule(which=WHICH, fate=st.integers(0, 15))
    def step(self, which: int, fate: int) -> None:
        self.player.step(which, fate)

    @rule(which=WHICH)
    def step_plainly(self, which: int) -> None:
        self.player.step(which, 0)

    @rule(which=WHICH)
    def finish(self, which: int) -> None:
        self.player.finish(which)

    @rule(which=WHICH, what=st.integers(0, 11))
    def change(self, which: int, what: int) -> None:
        self.player.change(which, what)

    @rule(which=WHICH, what=st.integers(0, 8), whom=st.integers(0, 5))
    def identity(self, which: int, what: int, whom: int) -> None:
        self.player.identity(which, what, whom)

    @rule(which=WHICH, what=st.sampled_from(["take", "reload", "save"]))
    def look(self, which: int, what: str) -> None:
        getattr(self.player, what)(which)

    @rule(which=WHICH, how=st.integers(0, 7))
    def commit(self, which: int, how: int) -> None:
        self.player.commit(which, how)

    @rule(which=WHICH, what=st.sampled_from(["crash", "lose_response"]))
    def misfortune(self, which: int, what: str) -> None:
        getattr(self.player, what)(which)

    @rule(which=st.integers(0, 8))
    def advance(self, which: int) -> None:
        self.player.advance(which)

    @rule(which=WHICH, generation=st.integers(0, 3))
    def attack(self, which: int, generation: int) -> None:
        self.player.attack(which, generation)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.check_thoroughly()
            finally:
                self.world.close()
