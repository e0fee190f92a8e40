"""Look up the name of a host for no longer than the store work at hand may take.

Nobody can tell the system's resolver when to give up: without its servers it takes tens of seconds,
and blocks. So before a library connects to a name, it is looked up in a thread, one for a name
however many wait for it. Asyncio would take a thread for each of them, out of the few that the
application has for its own work. Knows nothing of any library.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress

from ..core import deadline

_Key = tuple[int, str]

# Lookups under way, with what they failed with. By process as well: what a parent waits for, nobody
# does in its child.
_under_way: dict[_Key, Future[Exception | None]] = {}


def await_name(host: str) -> None:
    """Return once the name is known to be known; at once for an address or a socket's path.

    Raises:
        TimeoutError: no answer in the time there was.
        OSError: there is no such name, or nobody to ask.
    """
    lookup = _lookup(host)
    if lookup is None:
        return
    try:
        error = lookup.result(deadline.left())
    except TimeoutError:
        raise TimeoutError(
            f"the name {host!r} could not be looked up in the time there was"
        ) from None
    _raise(error)


async def name_known(host: str) -> None:
    """`await_name`, awaited; the caller bounds the time.

    Raises:
        OSError: there is no such name, or nobody to ask.
    """
    lookup = _lookup(host)
    if lookup is not None:
        _raise(await asyncio.wrap_future(lookup))


def await_names(hosts: Sequence[str]) -> None:
    """`await_name` of several hosts, for a library that goes on to the next where one is unknown:
    of several, that is not told.

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


async def names_known(hosts: Sequence[str]) -> None:
    """`await_names`, awaited; the caller bounds the time.

    Raises:
        OSError: there is only one, and it is not known.
    """
    for host in hosts:
        try:
            await name_known(host)
        except OSError:
            if len(hosts) == 1:
                raise


def _lookup(host: str) -> Future[Exception | None] | None:
    """The lookup of this name under way, begun if there was none; None for what is no name."""
    if not host or host == "localhost" or host.startswith(("/", "@")) or _is_address(host):
        return None
    key = os.getpid(), host
    made: Future[Exception | None] = Future()
    # From here on nobody who stops waiting stops it for the others.
    made.set_running_or_notify_cancel()
    lookup = _under_way.setdefault(key, made)
    if lookup is made:
        thread = threading.Thread(
            target=_run, args=(key, made), name=f"openclaw looks up {host}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # the process has no thread to spare, or is about to end
            _finish(key, made, error)
    return lookup


def _run(key: _Key, lookup: Future[Exception | None]) -> None:
    try:
        socket.getaddrinfo(key[1], None)
    except Exception as error:
        _finish(key, lookup, error)
    else:
        _finish(key, lookup, None)


def _finish(key: _Key, lookup: Future[Exception | None], error: Exception | None) -> None:
    _under_way.pop(key, None)
    lookup.set_result(error)


def _raise(error: Exception | None) -> None:
    if error is not None:
        # Once more for each who waits, so not the same object.
        raise OSError(*error.args)


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, ValueError):
            socket.inet_pton(family, host.partition("%")[0])
            return True
    return False
