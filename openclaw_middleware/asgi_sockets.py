"""Sockets and streams under ASGI: what comes in counts as activity, and the session's end is
theirs, too.

A socket the application has accepted, or a response it streams, holds its session while it is
open. Messages are neither delayed nor changed. Deciding that a session is over is the business of
`watch`; what a response carries for its session is the business of `asgi`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import Context
from typing import Any

from .causes import is_translation
from .core.events import logger
from .core.exchange import Exchange
from .core.record import EndReason
from .holding import Holding, last_words
from .interruption import Interruption
from .runtime import Runtime

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# WebSocket close code of a session that is over, in the range for applications.
SESSION_ENDED = 4401
# Seconds an application has to leave after it was told that the session is over.
PARTING = 3.0
_DISCONNECTS = ("websocket.disconnect", "http.disconnect")


class Disconnected(OSError):
    """The application sends to a socket or stream that was closed with its session."""


class Line:
    """The way of one request's messages, to the application and back.

    Attributes:
        ended: why the session is over, None while it is not.
    """

    ended: EndReason | None = None
    _head: Message = {}  # noqa: RUF012  # replaced, never changed
    _sent = b""
    _final = False
    _lock: asyncio.Lock
    _life: Interruption
    _task: asyncio.Task[Any] | None
    _holding: Holding | None = None
    _cut: asyncio.TimerHandle | None = None
    _goodbye: asyncio.Task[None] | None = None
    _release: asyncio.Task[None] | None = None
    _disconnected: Disconnected | None = None

    def __init__(
        self, runtime: Runtime, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._runtime = runtime
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._socket = scope["type"] == "websocket"
        self._waits: set[Interruption] = set()

    async def run(self, app: Any, scope: Scope, send: Send) -> None:
        """Run the application; taken out of a socket or stream whose session is over, it may well
        fail by that, which is no error.

        Args:
            send: leads to this line's `send`.
        """
        self._task = asyncio.current_task()
        try:
            await app(scope, self.receive, send)
        except BaseException as error:
            if self.ended is None or not self._caused(error):
                raise
        finally:
            if self._holding is not None:
                await self._leave(self._holding)

    async def receive(self) -> Message:
        """The server's next message; a disconnect when the session is over."""
        if self.ended is None:
            wait = Interruption(asyncio.current_task())
            self._waits.add(wait)
            try:
                message = await self._receive()
            except asyncio.CancelledError:
                if not wait.clear():
                    raise
            else:
                wait.clear()
                if self._holding is not None and self._release is None:
                    if message["type"] == "websocket.receive":
                        self._holding.use()
                    elif message["type"] in _DISCONNECTS:
                        self._let_go(self._holding)
                return message
            finally:
                self._waits.discard(wait)
        if self._socket:
            reason = str(self.ended)
            return {"type": "websocket.disconnect", "code": SESSION_ENDED, "reason": reason}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Pass a message on.

        Raises:
            Disconnected: the session is over, and the socket or stream closed.
        """
        if self._holding is None:
            if not self._stays_open(message):
                await self._send(message)
                return
            self._lock = asyncio.Lock()
            self._life = Interruption(self._task)
            self._holding = Holding(self._runtime, self._exchange, self._close)
        last = message["type"] == "websocket.close" or not (
            self._socket or message.get("more_body")
        )
        # One at a time, so that ours comes between two of the application's.
        async with self._lock:
            if self.ended is None:
                self._final = last
                self._sent = message.get("body") or self._sent
                if self._release is None:
                    self._holding.look()
                await self._send(message)
                if last:
                    self._let_go(self._holding)
            elif last:
                self._let_go(self._holding)
            else:
                self._disconnected = Disconnected(f"the session is over: {self.ended}")
                raise self._disconnected

    def _stays_open(self, message: Message) -> bool:
        """Whether there is more to come after this message, nobody knows how much."""
        if self._socket:
            return bool(message["type"] == "websocket.accept")
        if message["type"] == "http.response.start":
            self._head = message
        # A response of known length ends by itself, and could not end earlier in good order.
        return bool(message.get("more_body")) and not self._header(b"content-length")

    def _header(self, wanted: bytes) -> str:
        for name, value in self._head.get("headers") or ():
            if bytes(name).lower() == wanted:
                return bytes(value).decode("latin-1")
        return ""

    # -- the end

    def _close(self, reason: EndReason) -> None:
        """The client is told, and the application has to leave."""
        if self._release is not None:
            return  # nothing is open any more, and what the application still does is its own
        self.ended = reason
        loop = asyncio.get_running_loop()
        for wait in self._waits:
            wait.now()
        self._cut = loop.call_later(PARTING, self._life.now)
        self._goodbye = loop.create_task(self._say_goodbye(), context=Context())

    async def _say_goodbye(self) -> None:
        try:
            # A client that reads nothing holds the lock until the application is cut off.
            async with asyncio.timeout(PARTING + 1), self._lock:
                if not self._final:
                    self._final = True
                    await self._send(self._last_message())
        except Exception as error:  # the client may be gone already
            logger.debug("a socket could not be closed with its session: %r", error)

    def _last_message(self) -> Message:
        assert self.ended is not None  # noqa: S101  # for the type checker
        if self._socket:
            return {"type": "websocket.close", "code": SESSION_ENDED, "reason": str(self.ended)}
        kind, encoding = self._header(b"content-type"), self._header(b"content-encoding")
        body = last_words(self.ended, kind, encoding, self._sent)
        return {"type": "http.response.body", "body": body, "more_body": False}

    def _caused(self, error: BaseException) -> bool:
        """Whether the application failed by being taken out."""
        if isinstance(error, asyncio.CancelledError):
            return self._life.clear()
        return is_translation(error, self._is_ours)

    def _is_ours(self, error: BaseException) -> bool:
        # What the framework made of the disconnect it received has its code.
        told = "Disconnect" in type(error).__name__ and getattr(error, "code", 0) == SESSION_ENDED
        return told or error is self._disconnected

    def _let_go(self, holding: Holding) -> None:
        """Nothing is open any more; what the application does from here on takes its time."""
        if self._cut is not None:
            self._cut.cancel()
        if self._release is None:
            self._release = asyncio.get_running_loop().create_task(holding.release())

    async def _leave(self, holding: Holding) -> None:
        self._let_go(holding)
        self._life.clear()
        try:
            assert self._release is not None  # noqa: S101  # for the type checker
            # Some frameworks cancel at every step until the task is gone; that is not for this.
            await asyncio.shield(self._release)
            if self._goodbye is not None:
                await asyncio.wait({self._goodbye})
        finally:
            if self._goodbye is not None:
                self._goodbye.cancel()
