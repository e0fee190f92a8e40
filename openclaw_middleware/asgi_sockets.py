"""Sockets and streams under ASGI: what comes in counts as activity, and the session's end is
theirs, too.

A socket the application has accepted, or a response it streams, holds its session while it is
open. Messages are neither delayed nor changed. Deciding that a session is over is the business of
`watch`; what a response carries for its session is the business of `asgi`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import Context
from dataclasses import replace
from typing import Any

from .causes import stems_from
from .core.events import logger
from .core.exchange import Exchange
from .core.record import EndReason
from .runtime import Runtime
from .watch import Watch

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# WebSocket close code of a session that is over, in the range for applications.
SESSION_ENDED = 4401
# Seconds from the start until the session is watched: what is over by then costs nothing.
GRACE = 0.5
# Seconds an application has to leave after it was told that the session is over.
PARTING = 3.0
_BETWEEN_EVENTS = (b"\n\n", b"\r\n\r\n", b"\r\r")


class Disconnected(OSError):
    """The application sends to a socket or stream that was closed with its session."""


class Line:
    """The way of one request's messages, to the application and back.

    Attributes:
        ended: why the session is over, None while it is not.
    """

    __slots__ = (
        "_counts",
        "_cut",
        "_disconnected",
        "_exchange",
        "_final",
        "_goodbye",
        "_head",
        "_life",
        "_lock",
        "_open",
        "_receive",
        "_runtime",
        "_send",
        "_settling",
        "_socket",
        "_tail",
        "_waiting",
        "_watch",
        "ended",
    )

    def __init__(
        self, runtime: Runtime, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._runtime = runtime
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._socket = scope["type"] == "websocket"
        self._counts = not exchange.request.passive
        self._head: Message = {}
        self._tail = b"\n\n"
        self._open = self._final = False
        self._lock = asyncio.Lock()
        self._waiting: set[asyncio.Timeout] = set()
        self._watch: Watch | None = None
        self._life: asyncio.Timeout | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._goodbye: asyncio.Task[None] | None = None
        self._disconnected: Disconnected | None = None
        self.ended: EndReason | None = None

    async def run(self, app: Any, scope: Scope, send: Send) -> None:
        """Run the application; taken out of a socket or stream whose session is over, it may well
        fail by that, which is no error.

        Args:
            send: leads to this line's `send`.
        """
        try:
            async with asyncio.timeout(None) as self._life:
                await app(scope, self.receive, send)
        except Exception as error:
            if not self._caused(error):
                raise
        finally:
            if self._open:
                await self._leave()

    async def receive(self) -> Message:
        """The server's next message; a disconnect when the session is over."""
        if self.ended is None:
            try:
                async with asyncio.timeout(None) as waiting:
                    self._waiting.add(waiting)
                    try:
                        message = await self._receive()
                    finally:
                        self._waiting.discard(waiting)
            except TimeoutError:
                if not waiting.expired():
                    raise
            else:
                if message["type"] == "websocket.receive" and self._counts:
                    self._act()
                return message
        if self._socket:
            reason = str(self.ended)
            return {"type": "websocket.disconnect", "code": SESSION_ENDED, "reason": reason}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Pass a message on.

        Raises:
            Disconnected: the session is over, and the socket or stream closed.
        """
        if not self._open and not self._opens(message):
            await self._send(message)
            return
        last = message["type"] == "websocket.close" or not (
            self._socket or message.get("more_body")
        )
        # One at a time, so that ours comes between two of the application's.
        async with self._lock:
            if self.ended is None:
                self._final = last
                self._tail = message.get("body") or self._tail
                await self._send(message)
                if self._watch is None and self._settling is None:
                    self._join(used=False)
            elif not last:
                self._disconnected = Disconnected(f"the session is over: {self.ended}")
                raise self._disconnected

    # -- holding the session

    def _opens(self, message: Message) -> bool:
        """Whether the line stays open from this message on."""
        if self._socket:
            self._open = message["type"] == "websocket.accept"
        elif message["type"] == "http.response.start":
            self._head = message
        elif message.get("more_body"):
            # A response of known length ends by itself, and could not end earlier in good order.
            self._open = self._header(b"content-length") is None
        if self._open:
            self._settling = asyncio.get_running_loop().call_later(GRACE, self._settle)
        return self._open

    def _header(self, wanted: bytes) -> bytes | None:
        for name, value in self._head.get("headers") or ():
            if bytes(name).lower() == wanted:
                return bytes(value)
        return None

    def _settle(self) -> None:
        """The start is over: it was activity, and from now on only what the person sends is."""
        self._settling = None
        self._join(used=self._counts)
        self._exchange.request = replace(self._exchange.request, passive=True)

    def _act(self) -> None:
        if self._watch is not None:
            self._watch.use(self)
        elif self._open and self._settling is None:
            self._join(used=True)

    def _join(self, *, used: bool) -> None:
        """Hold the session, if the application uses one that is stored."""
        x = self._exchange
        if x.accessed and x.state.record is not None and x.clocked and self.ended is None:
            self._watch = self._runtime.watch()
            now = x.at(x.desk.monotonic())
            self._watch.join(self, x.state.record, now, used=used)

    def session_used(self, last_active_at: float) -> None:
        """See `watch.Holder`."""
        self._exchange.state.touched(last_active_at)

    # -- letting go

    def session_ended(self, reason: EndReason) -> None:
        """See `watch.Holder`: the client is told, and the application has to leave."""
        self.ended = reason
        loop = asyncio.get_running_loop()
        for waiting in self._waiting:
            waiting.reschedule(loop.time())
        if self._life is not None:
            self._cut = loop.call_at(loop.time() + PARTING, self._life.reschedule, 0.0)
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
        if self._socket:
            return {"type": "websocket.close", "code": SESSION_ENDED, "reason": str(self.ended)}
        body = b""
        kind = self._header(b"content-type") or b""
        if (
            kind.startswith(b"text/event-stream")
            and self._header(b"content-encoding") is None
            and self._tail.endswith(_BETWEEN_EVENTS)
        ):
            data = json.dumps({"reason": str(self.ended)})
            body = f"event: session-ended\ndata: {data}\n\n".encode()
        return {"type": "http.response.body", "body": body, "more_body": False}

    def _caused(self, error: Exception) -> bool:
        """Whether the application failed by being taken out."""
        if self.ended is None:
            return False
        if isinstance(error, TimeoutError) and self._life is not None and self._life.expired():
            return True
        told = getattr(error, "code", None) == SESSION_ENDED  # Starlette's WebSocketDisconnect
        return told or stems_from(error, self._disconnected)

    async def _leave(self) -> None:
        for timer in (self._settling, self._cut):
            if timer is not None:
                timer.cancel()
        try:
            if self._watch is not None:
                await self._watch.leave(self)
            if self._goodbye is not None:
                await asyncio.wait({self._goodbye})
        finally:
            if self._goodbye is not None:
                self._goodbye.cancel()
