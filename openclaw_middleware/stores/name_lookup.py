"""Look up the name of a host for no longer than the store work at hand may take.

Nobody can tell the system's resolver when to give up: without its servers it takes tens of seconds,
and blocks. So before a blocking library connects to a name, it is looked up in a thread, one for a
name however many wait for it. Asyncio does likewise by itself. Knows nothing of any library.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

from ..core import deadline


class _Lookup:
    """One lookup under way, or just over."""

    def __init__(self, key: tuple[int, str]) -> None:
        self.key = key
        self.over = threading.Event()
        self.error: Exception | None = None

    def begin(self) -> None:
        name = f"openclaw looks up {self.key[1]}"
        try:
            threading.Thread(target=self._run, name=name, daemon=True).start()
        except RuntimeError as error:  # the process has no thread to spare, or is about to end
            self._finish(error)

    def _run(self) -> None:
        try:
            socket.getaddrinfo(self.key[1], None)
        except Exception as error:
            self._finish(error)
        else:
            self._finish(None)

    def _finish(self, error: Exception | None) -> None:
        self.error = error
        _under_way.pop(self.key, None)
        self.over.set()


# By process as well: what a parent waits for, nobody does in its child.
_under_way: dict[tuple[int, str], _Lookup] = {}


def await_name(host: str) -> None:
    """Return once the name is known to be known; at once for an address or a socket's path.

    Raises:
        TimeoutError: no answer in the time there was.
        OSError: there is no such name, or nobody to ask.
    """
    if not host or host == "localhost" or host.startswith(("/", "@")) or _is_address(host):
        return
    made = _Lookup((os.getpid(), host))
    lookup = _under_way.setdefault(made.key, made)
    if lookup is made:
        lookup.begin()
    if not lookup.over.wait(deadline.left()):
        raise TimeoutError(f"the name {host!r} could not be looked up in the time there was")
    if lookup.error is not None:
        # Raised once more for each who waits, so not the same object.
        raise OSError(*lookup.error.args)


def await_names(hosts: Sequence[str]) -> None:
    """The same for several hosts, for a library that goes on to the next where there is no such
    name: then that is none of our business.

    Raises:
        TimeoutError: no answer in the time there was.
        OSError: there is only one, and it is not known.
    """
    for host in hosts:
        try:
            await_name(host)
        except TimeoutError:
            raise
        except OSError:
            if len(hosts) == 1:
                raise


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, ValueError):
            socket.inet_pton(family, host.partition("%")[0])
            return True
    return False
