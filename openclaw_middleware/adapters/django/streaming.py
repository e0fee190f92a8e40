"""Django's asynchronous streaming responses hold their session, as streams under ASGI do.

The stream ends with the session, the view's generator is cancelled where it waits. A blocking
stream is left alone: nothing could wake the thread that waits in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from ...core.exchange import Exchange
from ...core.record import EndReason
from ...holding import Holding, last_words
from .deployment import Deployment


async def held(
    parts: AsyncIterator[Any], response: Any, exchange: Exchange, deployment: Deployment
) -> AsyncIterator[Any]:
    """The parts of a streaming response, as long as its session lives."""
    ended: EndReason | None = None
    waiting: asyncio.Timeout | None = None

    def told(reason: EndReason) -> None:
        nonlocal ended
        ended = reason
        if waiting is not None:
            waiting.reschedule(0.0)

    holding = Holding(deployment, exchange, told)
    sent = b""
    try:
        while ended is None:
            holding.look()
            try:
                async with asyncio.timeout(None) as waiting:
                    part = await anext(parts)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if ended is None:
                    raise
                break
            finally:
                waiting = None
            sent = response.make_bytes(part) or sent
            yield part
        kind, encoding = response.get("Content-Type", ""), response.get("Content-Encoding")
        if words := last_words(ended or EndReason.GONE, kind, encoding, sent):
            yield words
    finally:
        try:
            await close(parts)
        finally:
            await holding.release()


async def close(parts: AsyncIterator[Any]) -> None:
    """End a generator that was left before its end; other iterators have none of their own."""
    aclose = getattr(parts, "aclose", None)
    if aclose is not None:
        await aclose()
