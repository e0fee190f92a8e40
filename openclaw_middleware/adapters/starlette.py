"""Starlette: a middleware in place of `starlette.middleware.sessions.SessionMiddleware`.

Starlette's own keywords are translated into settings or refused with the mend. Everything a
request does is the ASGI driver's; no session logic in here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta, tzinfo
from functools import wraps
from inspect import iscoroutinefunction
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from starlette.datastructures import Secret
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp

from ..asgi import MANAGER_KEY, get_manager, get_session
from ..asgi import SessionMiddleware as AsgiMiddleware
from ..config import SessionSettings
from ..config_checks import MAX_COOKIE_AGE
from ..core.policy import Policy
from ..errors import ConfigurationError
from ..heartbeat_markup import Html, Value, Wishes
from ..heartbeat_markup import session_keeper as _markup
from ..runtime import Runtime, make_desk, register
from ..session import Session

__all__ = [
    "SessionMiddleware",
    "get_manager",
    "get_session",
    "require_recent",
    "session_keeper",
]

E = TypeVar("E", bound=Callable[..., Any])


class _Unset:
    """Not given; Starlette's own defaults must stay tellable from the same value given."""

    def __repr__(self) -> str:
        return "..."


UNSET: Final = _Unset()

_SAME = {
    "session_cookie": "cookie_name",
    "path": "cookie_path",
    "same_site": "cookie_samesite",
    "https_only": "cookie_secure",
    "domain": "cookie_domain",
    "partitioned": "cookie_partitioned",
}


class SessionMiddleware(AsgiMiddleware):
    """Puts a `Session` behind `request.session` and `websocket.session`.

    Give it `sessions=`, or Starlette's own keywords and `store=`. Of the latter, what is left out
    has this package's default, not Starlette's: the cookie is Secure, and limits are 30 minutes
    idle and 8 hours in all. Whatever no keyword says is read from `OPENCLAW_SESSION__...`
    variables, `STORE` for instance.

    Args:
        app: the application, given by Starlette.
        sessions: `SessionSettings`, or a manager to share its pool and memory store.
        load: "eager" or "lazy"; see `openclaw_middleware.asgi.SessionMiddleware`.
        store: URL of the store, such as "sqlite:///sessions.db".
        secret_key: at least 32 characters.
        session_cookie: name of the cookie, sent verbatim.
        max_age: seconds a session lives after its sign-in (or creation), however active it is, in
            a cookie that outlives the browser. None: a browser-session cookie and the default
            limits.
        path, same_site, domain, partitioned: attributes of the cookie.
        https_only: False lets the cookie travel over plain http.

    Raises:
        ConfigurationError: naming what is wrong or missing, and the mend.
    """

    def __init__(
        self,
        app: ASGIApp,
        sessions: Any = None,
        *,
        load: Literal["eager", "lazy"] = "eager",
        store: Any = UNSET,
        secret_key: str | Secret | _Unset = UNSET,
        session_cookie: str | _Unset = UNSET,
        max_age: int | _Unset | None = UNSET,
        path: str | _Unset = UNSET,
        same_site: Literal["lax", "strict", "none"] | _Unset = UNSET,
        https_only: bool | _Unset = UNSET,
        domain: str | _Unset | None = UNSET,
        partitioned: bool | _Unset = UNSET,
    ) -> None:
        keywords = {
            "store": store,
            "secret_key": secret_key,
            "session_cookie": session_cookie,
            "max_age": max_age,
            "path": path,
            "same_site": same_site,
            "https_only": https_only,
            "domain": domain,
            "partitioned": partitioned,
        }
        given = {name: value for name, value in keywords.items() if value is not UNSET}
        super().__init__(app, _one_of(sessions, given), load=load)


def _one_of(sessions: Any, given: dict[str, Any]) -> Any:
    """What to run on: what was given as `sessions`, or the keywords."""
    if isinstance(sessions, str | Secret):
        raise ConfigurationError(
            "the second argument is `sessions`, not the secret key: write secret_key=..."
        )
    if sessions is None:
        return from_keywords(given)
    if given:
        raise ConfigurationError(
            f"sessions= holds every setting already, so {', '.join(given)} cannot be given beside "
            "it: put them into SessionSettings(...)"
        )
    return sessions


def from_keywords(given: dict[str, Any]) -> Runtime:
    """A deployment from the keywords of Starlette's own middleware, and `store`.

    Raises:
        ConfigurationError: naming every keyword that is wrong.
    """
    keep = given.get("max_age") is not None
    wanted = _translated(given)
    try:
        settings = SessionSettings.load(**wanted)
    except ConfigurationError as error:
        if "store" in wanted or "store" not in str(error):
            raise
        raise ConfigurationError(
            f"{error}\nStarlette keeps sessions in the cookie, this middleware keeps them in a "
            "store: add store='sqlite:///sessions.db', or set OPENCLAW_SESSION__STORE"
        ) from None
    if not keep:
        return register(Runtime(settings))
    desk = make_desk(settings)
    default = desk.rules.policies["default"]
    lasting = Policy(default.idle, default.absolute, persistent=True)
    policies = MappingProxyType({**desk.rules.policies, "default": lasting})
    desk = replace(desk, rules=replace(desk.rules, policies=policies))
    return register(Runtime(settings, desk=desk))


def _translated(given: dict[str, Any]) -> dict[str, Any]:
    """Starlette's keywords in the words of the settings."""
    found: dict[str, Any] = {
        _SAME.get(name, name): value
        for name, value in given.items()
        if name not in ("max_age", "secret_key")
    }
    if "secret_key" in given:
        # Starlette's `Secret` has no meaning to the settings, only its text has.
        found["secret_key"] = str(given["secret_key"])
    age = given.get("max_age")
    if age is None:
        return found
    if isinstance(age, bool) or not isinstance(age, int) or not 0 < age <= MAX_COOKIE_AGE:
        raise ConfigurationError(
            f"max_age must be whole seconds, from 1 to {MAX_COOKIE_AGE} (400 days, after which "
            f"browsers drop a cookie), or None for a browser-session cookie, not {age!r}"
        )
    return {**found, "idle_timeout": None, "absolute_timeout": age}


def require_recent(max_age: float | timedelta) -> Callable[[E], E]:
    """Decorate an endpoint that demands a sign-in within the last `max_age` seconds.

    For functions and methods that are given a request or a WebSocket, `async def` or not. Whose
    sign-in is older is answered 401, or sent to `login_url`; an exception handler registered for
    `ReauthenticationRequired` goes before that.
    """

    def decorate(endpoint: E) -> E:
        if iscoroutinefunction(endpoint):

            @wraps(endpoint)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                session = get_session(_connection(args, kwargs))
                await session.aload()
                session.require_recent(max_age)
                return await endpoint(*args, **kwargs)

            return awaited  # type: ignore[return-value]  # the same but for its name

        @wraps(endpoint)
        def called(*args: Any, **kwargs: Any) -> Any:
            get_session(_connection(args, kwargs)).require_recent(max_age)
            return endpoint(*args, **kwargs)

        return called  # type: ignore[return-value]  # the same but for its name

    return decorate


def _connection(args: tuple[Any, ...], kwargs: dict[str, Any]) -> HTTPConnection:
    """The request or WebSocket among an endpoint's arguments."""
    for each in (*args, *kwargs.values()):
        if isinstance(each, HTTPConnection):
            return each
    raise TypeError("require_recent decorates endpoints that are given a request or a WebSocket")


def session_keeper(
    request: HTTPConnection,
    *,
    lang: str = "",
    nonce: str = "",
    timezone: tzinfo = UTC,
    noscript: str | None = None,
    **attributes: Value,
) -> Html:
    """The heartbeat's markup for a page: `{{ session_keeper(request) }}`, once it is among
    `templates.env.globals`.

    Args:
        lang: language of the page, such as "de"; English if not given.
        nonce: of the page's Content-Security-Policy.
        timezone: in which the `<noscript>` line tells the end.
        noscript: replaces that line, with `{time}` in it; empty for none.
        attributes: of the `<session-keeper>` element, with underscores for hyphens.
    """
    runtime, session = request.scope.get(MANAGER_KEY), request.scope.get("session")
    if not isinstance(runtime, Runtime) or not isinstance(session, Session):
        return Html("")
    return _markup(session, runtime, Wishes(lang, nonce, timezone, noscript), attributes)
