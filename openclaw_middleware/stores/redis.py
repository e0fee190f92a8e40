"""Sessions in Redis or Valkey, blocking and with asyncio; both over the bodies in `redis_bodies`.

What differs between the colours is only whose connections are used, and when they are closed.
"""

from __future__ import annotations

from typing import Any

from . import redis_client as clients
from . import redis_listening as listening
from .base import AsyncStore, Heard, Store
from .per_loop import PerLoop, PerProcess
from .redis_bodies import RedisBodies as _RedisBodies


class RedisStore(_RedisBodies, Store):
    """Blocking colour: a `redis://`, `rediss://` or `unix://` URL, or a ready blocking client.

    A ready client waits as its own timeouts say, which may be none, for each of its commands.
    """

    _awaited = False
    _own: PerProcess[Any] | None = None

    def _open(self, url: str) -> None:
        self._own = PerProcess(lambda: clients.blocking_client(url), lambda client: None)

    def _client(self) -> Any:
        return self._ready if self._own is None else self._own.get()

    def close(self) -> None:
        """Close our own connections; a ready client is its owner's to close."""
        client = self._own.pop() if self._own is not None else None
        if client is not None:
            client.connection_pool.disconnect()


class AsyncRedisStore(_RedisBodies, AsyncStore):
    """Asyncio colour: the same URLs, or a ready asyncio client, which is tied to its loop."""

    _awaited = True
    _own: PerLoop[Any] | None = None
    _url = ""

    def _open(self, url: str) -> None:
        self._url = url
        self._own = PerLoop(
            lambda: clients.asyncio_client(url), clients.close_asyncio, clients.abandon_asyncio
        )

    def _client(self) -> Any:
        return self._ready if self._own is None else self._own.get()

    async def listen(self, heard: Heard) -> None:
        # A connection that listens can do nothing else, so it is none of the pool's.
        client = self._ready if self._own is None else clients.asyncio_client(self._url)
        channel = f"{self.options.namespace}:ended"
        try:
            if self._initialize is not None:
                await self._initialize()
            await listening.listen(client, channel, heard, self.options.timeout)
        except self.driver_errors as error:
            raise self._failure(error, "listen") from error
        finally:
            if client is not self._ready:
                await clients.close_asyncio(client)

    async def close(self) -> None:
        """Close this loop's connections; a ready client is its owner's to close."""
        if self._own is not None:
            await self._own.close()
