"""One body for both colours: a generator that yields calls, and the two ways to run it.

A body writes `raw = yield client.get(key)`. With a blocking client the yielded value is already
the answer; with an asyncio client it is an awaitable. Bodies never sleep and never yield anything
but the result of such a call. Nothing else belongs in this module.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar("T")
Steps = Generator[Any, Any, T]


def drive(steps: Steps[T]) -> T:
    """Run a body whose calls block: what it yields is what it gets."""
    try:
        value = next(steps)
        while True:
            value = steps.send(value)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration.value is untyped


async def adrive(steps: Steps[T]) -> T:
    """Run a body whose calls are awaitable; errors and cancellation are thrown into the body."""
    try:
        pending = next(steps)
        while True:
            try:
                value = await pending
            except BaseException as exc:
                pending = steps.throw(exc)
            else:
                pending = steps.send(value)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration.value is untyped
