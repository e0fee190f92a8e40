"""Hear from PostgreSQL which sessions end. One connection of its own, asked now and then if it
still stands. What is heard is a hint for somebody else to judge; nothing is loaded here.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from .base import Heard

# The driver whose connections can be listened on; `async_creator_fn` makes ours of it.
DRIVER = "psycopg"
# Seconds of silence after which the connection is asked whether it still stands.
SILENCE = 10.0


async def listen(engine: AsyncEngine, channel: str, heard: Heard, timeout: float) -> None:  # noqa: ASYNC109
    """Listen until cancelled; see `AsyncStore.listen`.

    Args:
        timeout: seconds that connecting, and the answer to a question, may take.

    Raises:
        TimeoutError: the server is silent.
        ConnectionError: it has closed the connection.
    """
    from psycopg import Error

    connection: Any = None
    try:
        async with asyncio.timeout(timeout):
            connection = await _own_connection(engine)
            connection.add_notify_handler(lambda notice: heard(notice.payload))
            await connection.execute(f"LISTEN {channel}")
        heard(None)
        while True:
            if await _readable(connection.fileno(), SILENCE):
                connection.pgconn.consume_input()
                while (notice := connection.pgconn.notifies()) is not None:
                    heard(notice.extra.decode())
            else:
                async with asyncio.timeout(timeout):
                    await connection.execute("SELECT 1")
    except Error as error:
        raise ConnectionError(str(error)) from error
    finally:
        if connection is not None:
            # At once: `close` has nothing to say to the server that matters here.
            connection.pgconn.finish()


async def _own_connection(engine: AsyncEngine) -> Any:
    """A connection that is nobody else's any more: one that listens can do nothing else."""
    async with engine.connect() as borrowed:
        fairy = await borrowed.get_raw_connection()
        connection = fairy.driver_connection
        fairy.detach()
    return connection


async def _readable(descriptor: int, seconds: float) -> bool:
    """Wait until there is something to read; False when there was nothing for so long."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        async with asyncio.timeout(seconds):
            await ready.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
    return True
