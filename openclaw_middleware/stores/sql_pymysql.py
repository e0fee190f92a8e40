"""PyMySQL connections whose every wait ends with the store work at hand.

The library's timeouts count per read, and an answer takes many. Imported only when MariaDB or
MySQL is asked for in the blocking colour.
"""

from __future__ import annotations

from typing import Any

from pymysql.connections import Connection

from ..core import deadline
from .limited_sockets import limit


class LimitedConnection(Connection):  # type: ignore[misc]  # the library is not typed
    def __init__(self, **settings: Any) -> None:
        self._limited: Any = None
        super().__init__(**{**settings, "connect_timeout": deadline.left()})

    @property
    def _sock(self) -> Any:
        return self._limited

    @_sock.setter
    def _sock(self, sock: Any) -> None:
        # Set as soon as it is connected, and once more when TLS was put around it.
        self._limited = None if sock is None else limit(sock)
