"""Hear on a Redis channel which sessions end. One connection, watched by pings.

What is heard is a hint for somebody else to judge; nothing is loaded here.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from .base import Heard

# Seconds of silence after which the connection is asked whether it still stands.
SILENCE = 10.0


async def listen(client: Any, channel: str, heard: Heard, timeout: float) -> None:  # noqa: ASYNC109
    """Listen until cancelled; see `AsyncStore.listen`.

    Args:
        timeout: seconds that subscribing, and the answer to a ping, may take.

    Raises:
        TimeoutError: the server is silent.
    """
    hub = client.pubsub()
    try:
        async with asyncio.timeout(timeout):
            await hub.subscribe(channel)
        answered = False
        while True:
            # Also after subscribing an answer is due.
            wait = SILENCE if answered else timeout
            message = await hub.get_message(ignore_subscribe_messages=False, timeout=wait)
            if message is None:
                if not answered:
                    raise TimeoutError("the server does not answer a ping")
                answered = False
                async with asyncio.timeout(timeout):
                    await hub.ping()
                continue
            answered = True
            kind = message["type"]
            if kind == "subscribe":
                # The client subscribes again by itself on a new connection.
                heard(None)
            elif kind == "message":
                heard(_text(message["data"]))
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await hub.aclose()


def _text(data: Any) -> str:
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
