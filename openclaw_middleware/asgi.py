"""The ASGI driver: carries bytes between a server, the core and the application.

HTTP and WebSocket; lifespan passes through. Every decision is the core's. ASGI 3.0.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Literal

from .answers import Answer, answer_for
from .asgi_heartbeat import answer_heartbeat, send_answer
from .asgi_sockets import Line
from .causes import stems_from
from .core.events import logger
from .core.exchange import Exchange
from .core.headers import Headers
from .errors import ConfigurationError, ReauthenticationRequired, SessionError
from .manager import AsyncSessionManager
from .runtime import Runtime, runtime_of
from .session import Session

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

MANAGER_KEY = "openclaw.runtime"

# Codes by which a WebSocket is closed (IANA).
_TRY_AGAIN_LATER = 1013
_UNAUTHORIZED = 3000


class SessionMiddleware:
    """Puts a `Session` into `scope["session"]` and commits it when the response starts.

    Args:
        app: the ASGI application.
        sessions: `SessionSettings`, or a manager to share its pool and memory store.
        load: "eager" loads before the application runs when a cookie of ours came, so that
            `request.session[...]` works; "lazy" leaves it to `await session.aload()`.
    """

    def __init__(
        self, app: ASGIApp, sessions: Any, *, load: Literal["eager", "lazy"] = "eager"
    ) -> None:
        if load not in ("eager", "lazy"):
            raise ConfigurationError(f'load must be "eager" or "lazy", not {load!r}')
        self.app = app
        self.runtime: Runtime = runtime_of(sessions)
        self.eager = load == "eager"
        self.driver = self.runtime.asynchronous

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if self.runtime.heartbeat is not None and scope["type"] == "http":
            answer = await answer_heartbeat(self.runtime, scope, receive)
            if answer is not None:
                await send_answer(answer, scope, send)
                return
        if "session" in scope:
            scope = self._nested(scope)
        exchange = None if scope.get(MANAGER_KEY) is self.runtime else self._exchange(scope)
        if exchange is None:
            await self.app(scope, receive, send)
            return
        scope["session"] = Session(exchange, None, self.driver)
        scope[MANAGER_KEY] = self.runtime
        if self.eager and not exchange.loaded:
            await self.driver.load(exchange)
        line = Line(self.runtime, exchange, scope, receive, send)
        reply = _Reply(self, exchange, scope, line.send)
        try:
            await line.run(self.app, scope, reply.send)
        except BaseException as error:
            if not stems_from(error, reply.refusal) and not await reply.fail(error):
                raise
        else:
            await reply.finish(over=line.ended is not None)

    def _nested(self, scope: Scope) -> Scope:
        """The scope to work in when a session is there already.

        The same deployment twice is one session. Another deployment (a mounted application with
        a cookie of its own) has its session for itself, and the outer one stays with its owner.
        """
        outer = scope.get(MANAGER_KEY)
        if outer is self.runtime:
            return scope
        if not isinstance(outer, Runtime):
            raise ConfigurationError(
                "another session middleware stands around this one and has set "
                f'scope["session"] to a {type(scope["session"]).__qualname__}: remove it'
            )
        name = self.runtime.desk.cookie.name
        if outer.desk.cookie.name == name:
            raise ConfigurationError(
                "two SessionMiddleware of different settings stand around each other and use the "
                f"cookie {name!r}: remove one, give both the same settings object, or give one "
                "another cookie_name"
            )
        return {**scope}

    def _exchange(self, scope: Scope) -> Exchange | None:
        headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
        cookies = "; ".join(
            [value.decode("latin-1") for name, value in headers if name == b"cookie"]
        )

        def header(wanted: str) -> str | None:
            return _header(scope, wanted.encode("ascii"))

        client = scope.get("client")
        return self.runtime.exchange(
            cookies,
            scope["path"],
            scope.get("method", "GET"),
            header,
            client[0] if client else None,
            scope.get("query_string", b"").decode("latin-1"),
            scope.get("root_path", ""),
        )


def _header(scope: Scope, wanted: bytes) -> str | None:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return None


class _Reply:
    """The way of one response: commit before its first byte, tidy up after its last."""

    __slots__ = (
        "_driver",
        "_exchange",
        "_mute",
        "_runtime",
        "_scope",
        "_send",
        "_socket",
        "refusal",
    )

    def __init__(
        self, middleware: SessionMiddleware, exchange: Exchange, scope: Scope, send: Send
    ) -> None:
        self._runtime = middleware.runtime
        self._scope = scope
        self._driver = middleware.driver
        self._exchange = exchange
        self._send = send
        self._socket = scope["type"] == "websocket"
        self._mute = False
        self.refusal: SessionError | None = None

    async def send(self, message: Message) -> None:
        if self._mute:
            return
        kind = message["type"]
        if not self._exchange.started and kind in (
            "http.response.start",
            "websocket.accept",
            "websocket.http.response.start",
        ):
            message = await self._start(message)
        await self._send(message)

    async def _start(self, message: Message) -> Message:
        """Commit, and answer the message with our headers; the application's own is left alone,
        since it may be sent again to somebody else."""
        x = self._exchange
        status = message.get("status", 200)
        failed = status >= 500
        try:
            await self._driver.commit(x, failed=failed, handshake=self._socket)
            refusal = x.refusal_behind(status)
            if refusal is not None:
                raise refusal
            if x.touch_due() and not x.touch_can_wait():
                await self._driver.touch(x)
        except SessionError as error:
            answer = answer_for(error, x.parting_cookies(), x.request.sign_in)
            if answer is None:
                raise
            self.refusal = error
            self._mute = True
            await self._answer(answer)
            raise
        x.started = True
        x.closed = failed
        headers = message.get("headers")
        if x.accessed or x.cookie is not None:
            plain: Headers = [
                (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
                for name, value in headers or ()
            ]
            finished = [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in x.finish_headers(plain)
            ]
            message = {**message, "headers": finished}
        if x.cookie is not None and x.desk.cookie.secure:
            scheme = self._scope.get("scheme", "http")
            self._runtime.plain_http.of_cookie(scheme, _header(self._scope, b"host") or "")
        return message

    async def _answer(self, answer: Answer) -> None:
        if self._socket:
            code = _UNAUTHORIZED if answer.status == 401 else _TRY_AGAIN_LATER
            await self._send({"type": "websocket.close", "code": code, "reason": answer.phrase})
            return
        await send_answer(answer, self._scope, self._send)

    async def fail(self, error: BaseException) -> bool:
        """The application failed: what narrows still happens, the rest is dropped.

        Returns:
            Whether the error was ours to answer, and was answered.
        """
        if self.refusal is not None:
            return False
        await self._abandon()
        x = self._exchange
        answer = None
        # A socket can be closed with a reason at any time.
        if not x.started or (self._socket and isinstance(error, ReauthenticationRequired)):
            answer = answer_for(error, x.parting_cookies(), x.request.sign_in)
        if answer is None:
            return False
        self._mute = True
        await self._answer(answer)
        return True

    async def _abandon(self) -> None:
        if not self._exchange.closed:
            self._exchange.closed = True
            try:
                await self._driver.commit(self._exchange, failed=True)
            except SessionError:
                logger.exception("a logout of a failed request could not be stored")

    async def finish(self, *, over: bool = False) -> None:
        """After the last byte: late changes of a stored session, and a touch that could wait.

        Args:
            over: the session ended meanwhile, and took its socket or stream with it.
        """
        x = self._exchange
        if x.closed or self.refusal is not None:
            return
        if over or (not x.started and not self._socket):
            await self._abandon()
            return
        # A refused handshake takes no cookie along, so nothing may be begun by it.
        state = x.state
        cookieless = not x.started and (state.record is None or state.draft or state.detached)
        x.started = True
        await self._driver.commit(x, failed=bool(cookieless))
        if x.touch_due():
            await self._driver.touch(x)


def get_manager(scope: Any) -> AsyncSessionManager:
    """The manager of the sessions of an ASGI scope (or of anything with a `scope`).

    Raises:
        ConfigurationError: the middleware is not installed, or `skip_paths` covers this path.
    """
    runtime = getattr(scope, "scope", scope).get(MANAGER_KEY)
    if not isinstance(runtime, Runtime):
        raise ConfigurationError(
            "there are no sessions here: add SessionMiddleware, and see that skip_paths does not "
            "cover this path"
        )
    return AsyncSessionManager(runtime)


def get_session(scope: Any) -> Session:
    """The session of an ASGI scope (or of anything with a `scope`), typed.

    Raises:
        ConfigurationError: the middleware is not installed, or `skip_paths` covers this path.
    """
    session = getattr(scope, "scope", scope).get("session")
    if not isinstance(session, Session):
        if session is not None:
            raise ConfigurationError(
                "another session middleware stands inside this one and has set "
                f'scope["session"] to a {type(session).__qualname__}: remove it'
            )
        raise ConfigurationError(
            "there is no session here: add SessionMiddleware, and see that skip_paths does not "
            "cover this path"
        )
    return session
