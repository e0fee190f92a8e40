"""How long the store work at hand may still take.

A request sets the end of each of its store calls, and a store narrows it to what one verb may
take; whoever waits for an engine, down to the socket, asks how much is left. The end travels with
the thread or the task, so that no verb and no client library has to hand it on.
"""

from __future__ import annotations

import math
import sys
from contextvars import ContextVar, Token
from time import monotonic

# Waiting for no time at all would not even look whether an answer is there, and each library has
# its own idea of for ever.
LEAST, MOST = 0.001, 86400.0

_ends: ContextVar[float] = ContextVar("openclaw_store_deadline", default=math.inf)


# With what was being handled at that moment.
Begun = tuple[Token[float], BaseException | None]


def begin(seconds: float) -> Begun:
    """Store work that may take `seconds` begins; hand the answer to `end`.

    Whatever end was set before does not count: it may be a stray one, which came along with a
    copied context.
    """
    return _ends.set(monotonic() + seconds), sys.exception()


def narrow(seconds: float) -> Begun:
    """As `begin`, within the end that is set already."""
    return _ends.set(min(_ends.get(), monotonic() + seconds)), sys.exception()


def end(begun: Begun) -> None:
    """The work is over."""
    token, handled = begun
    error = sys.exception()
    if isinstance(error, GeneratorExit) and error is not handled:
        # The work was abandoned, and its body is thrown away wherever the interpreter collects
        # garbage: within a set of this very variable, a reset brings CPython 3.11 down.
        return
    try:
        _ends.reset(token)
    except ValueError:  # it is cleaned up from another context
        return


def left() -> float:
    """Seconds until the end, at least `LEAST`; `MOST` where no store work was begun."""
    return min(max(_ends.get() - monotonic(), LEAST), MOST)


def passed() -> bool:
    """Whether the time is up."""
    return monotonic() >= _ends.get()
