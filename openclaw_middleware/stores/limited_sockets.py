"""Sockets whose every wait ends with the store work at hand.

Blocking client libraries give each single read a timeout of its own, and an answer may take many
reads. Their sockets are made to ask `core.deadline` instead. Knows nothing of any library.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ..core import deadline


class _Limited:
    """What differs from the socket's own class."""

    __slots__ = ()

    def _limit_wait(self: Any) -> None:
        # Without a timeout nothing is waited for: somebody only looks whether there is anything.
        if self.gettimeout() != 0:
            self.settimeout(deadline.left())

    def recv(self: Any, *args: Any) -> Any:
        self._limit_wait()
        return super().recv(*args)  # type: ignore[misc]  # of the class this is mixed into

    def recv_into(self: Any, *args: Any) -> Any:
        self._limit_wait()
        return super().recv_into(*args)  # type: ignore[misc]  # as above

    def sendall(self: Any, *args: Any) -> Any:
        self.settimeout(deadline.left())
        return super().sendall(*args)  # type: ignore[misc]  # as above


@cache
def _limited(kind: Any) -> Any:
    return type(f"Limited{kind.__name__}", (_Limited, kind), {"__slots__": ()})


def limit(sock: Any) -> Any:
    """The same socket, plain or TLS, limited from now on.

    Its class is changed in place, because libraries open and wrap sockets deep inside.
    """
    if not isinstance(sock, _Limited):
        kind: Any = type(sock)
        sock.__class__ = _limited(kind)
    return sock
