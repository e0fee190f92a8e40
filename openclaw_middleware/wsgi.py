"""The WSGI driver: carries bytes between a server, the core and the application.

Blocking, and loads on first access. Every decision is the core's. PEP 3333.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .core.exchange import Exchange
from .errors import ConfigurationError
from .manager import SessionManager
from .runtime import Runtime, runtime_of
from .session import Session
from .wsgi_heartbeat import serve_heartbeat
from .wsgi_reply import Reply, StartResponse

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

SESSION_KEY = "openclaw.session"
MANAGER_KEY = "openclaw.runtime"


class SessionMiddleware:
    """Puts a `Session` into `environ["openclaw.session"]` and commits it before the first byte.

    Args:
        app: the WSGI application.
        sessions: `SessionSettings`, or a manager to share its pool and memory store.
    """

    def __init__(self, app: WSGIApp, sessions: Any) -> None:
        self.app = app
        self.runtime: Runtime = runtime_of(sessions)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self.runtime.heartbeat is not None:
            answered = serve_heartbeat(self.runtime, environ, start_response)
            if answered is not None:
                return answered
        if SESSION_KEY in environ:
            environ = self._nested(environ)
        inside = environ.get(MANAGER_KEY) is self.runtime
        exchange = None if inside else exchange_of(self.runtime, environ)
        if exchange is None:
            return self.app(environ, start_response)
        driver = self.runtime.blocking
        environ[SESSION_KEY] = Session(exchange, driver, None)
        environ[MANAGER_KEY] = self.runtime
        reply = Reply(driver, exchange, start_response)
        try:
            body = self.app(environ, reply.start_response)
        except BaseException as error:
            answer = reply.fail(error)
            if answer is None:
                raise
            return answer
        return reply.begin(body, environ.get("wsgi.file_wrapper"))

    def _nested(self, environ: Environ) -> Environ:
        """The environ to work in when a session is there already.

        The same deployment twice is one session. Another deployment (a mounted application with
        a cookie of its own) has its session for itself, and the outer one stays with its owner.
        """
        outer = environ.get(MANAGER_KEY)
        if outer is self.runtime:
            return environ
        name = self.runtime.desk.cookie.name
        if isinstance(outer, Runtime) and outer.desk.cookie.name == name:
            raise ConfigurationError(
                "two SessionMiddleware of different settings stand around each other and use the "
                f"cookie {name!r}: remove one, give both the same settings object, or give one "
                "another cookie_name"
            )
        return {**environ}


def exchange_of(runtime: Runtime, environ: Environ) -> Exchange | None:
    """The exchange of one WSGI request, None where `skip_paths` says there is no session."""

    def header(wanted: str) -> str | None:
        value: str | None = environ.get("HTTP_" + wanted.upper().replace("-", "_"))
        return value

    mount: str = environ.get("SCRIPT_NAME", "")
    path: str = mount + environ.get("PATH_INFO", "")
    if not path.isascii():
        # WSGI carries the path's bytes as Latin-1, settings hold text.
        mount, path = (each.encode("latin-1").decode("utf-8", "replace") for each in (mount, path))
    return runtime.exchange(
        environ.get("HTTP_COOKIE", ""),
        path,
        environ.get("REQUEST_METHOD", "GET"),
        header,
        environ.get("REMOTE_ADDR"),
        environ.get("QUERY_STRING", ""),
        mount,
    )


def get_session(environ: Any) -> Session:
    """The session of a WSGI environ (or of a request object with an `environ`), typed.

    Raises:
        ConfigurationError: the middleware is not installed, or `skip_paths` covers this path.
    """
    session = getattr(environ, "environ", environ).get(SESSION_KEY)
    if not isinstance(session, Session):
        raise ConfigurationError(
            "there is no session here: add SessionMiddleware, and see that skip_paths does not "
            "cover this path"
        )
    return session


def get_manager(environ: Any) -> SessionManager:
    """The manager of the sessions of a WSGI environ (or of anything with one).

    Raises:
        ConfigurationError: the middleware is not installed, or `skip_paths` covers this path.
    """
    runtime = getattr(environ, "environ", environ).get(MANAGER_KEY)
    if not isinstance(runtime, Runtime):
        raise ConfigurationError(
            "there are no sessions here: add SessionMiddleware, and see that skip_paths does not "
            "cover this path"
        )
    return SessionManager(runtime)
