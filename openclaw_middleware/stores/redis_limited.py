"""A blocking pool of redis-py's whose every wait ends with the store work at hand.

The library's timeouts are set once per connection and count per read; these ask `core.deadline`.
Imported only when a URL is opened in the blocking colour.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import redis

from ..core import deadline
from .limited_sockets import limit
from .name_lookup import await_name


def _left(_self: Any) -> float:
    return deadline.left()


def _ignore(_self: Any, _value: Any) -> None:
    """The library's own settings count nothing here."""


class LimitedPool(redis.BlockingConnectionPool):
    timeout = property(_left, _ignore)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)  # type: ignore[no-untyped-call]  # the library's
        self.connection_class = _limited(self.connection_class)


class _Limited:
    socket_connect_timeout = property(_left, _ignore)
    socket_timeout = property(_left, _ignore)

    def _connect(self: Any) -> Any:
        await_name(getattr(self, "host", ""))  # a Unix socket has none
        return limit(super()._connect())  # type: ignore[misc]  # of the class this is mixed into


@cache
def _limited(kind: Any) -> Any:
    return type(f"Limited{kind.__name__}", (_Limited, kind), {})
