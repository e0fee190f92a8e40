"""Cut a body of the core into its store calls, so that somebody else decides when each happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from openclaw_middleware.core.steps import Steps


@dataclass
class Call:
    """One store call that a body waits for. `times` counts how often it was performed."""

    verb: str
    args: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)
    times: int = 0

    def perform(self, store: Any) -> Any:
        """Make the call on a blocking store."""
        self.times += 1
        return getattr(store, self.verb)(*self.args, **self.keywords)


class Deferred:
    """Stands where a store does; each verb only says what is wanted."""

    def __getattr__(self, verb: str) -> Any:
        return lambda *args, **keywords: Call(verb, args, keywords)


def pause(seconds: float) -> Call:
    """What a body yields to give way to others; no store is asked."""
    return Call("pause", (seconds,))


class Run:
    """A body under way: `call` is what it waits for, None once it is over.

    Attributes:
        value: what the body returned.
        error: what it raised.
    """

    def __init__(self, name: str, body: Steps[Any]) -> None:
        self.name = name
        self.call: Call | None = None
        self.value: Any = None
        self.error: BaseException | None = None
        self._body = body
        self._go(lambda: next(body))

    def answer(self, value: Any) -> None:
        """The call was answered."""
        self._go(lambda: self._body.send(value))

    def fail(self, error: BaseException) -> None:
        """The call failed."""
        self._go(lambda: self._body.throw(error))

    def abandon(self) -> None:
        """The process died here: nothing after this point happens."""
        self.call = None
        # A generator's cleanup would be code that a dead process does not run; ours have none
        # that reaches the store.
        self._body.close()

    def _go(self, step: Any) -> None:
        self.call = None
        try:
            self.call = step()
        except StopIteration as done:
            self.value = done.value
        except Exception as error:
            self.error = error
