"""For tests of applications: sign a test client in, and look at the session it holds.

Works with the test clients of Starlette and FastAPI, Flask, Django and WebTest. The session is
made and read through the application's own store, past its views.
"""

from __future__ import annotations

from http.cookiejar import Cookie
from typing import Any

from ..core.exchange import Exchange
from ..core.request import RequestInfo
from ..errors import ConfigurationError
from ..runtime import Runtime, register, runtime_of
from ..session import Session


def login(client: Any, user_id: object, /, **data: Any) -> Session:
    """Give the client a fresh session of this user, holding `data`; its next request has it.

    Args:
        client: a test client, or the WebTest `TestApp`.
        user_id: who is signed in; None for an anonymous session with data.
    """
    runtime = runtime_in(client)
    x = Exchange(runtime.desk, RequestInfo())
    session = Session(x, runtime.blocking, None)
    if user_id is not None:
        session.login(user_id)
    session.update(data)
    session.save()
    if x.token is not None:
        _set_cookie(client, runtime.desk.cookie.name, runtime.desk.signer.sign(x.token))
    return session


def session_of(client: Any) -> Session:
    """The session the client's cookie names now; anonymous and empty when it names none.

    It is a snapshot: take another one after the next request. `save()` stores changes.
    """
    runtime = runtime_in(client)
    value = _get_cookie(client, runtime.desk.cookie.name)
    cookies = f"{runtime.desk.cookie.name}={value}" if value else ""
    x = Exchange(runtime.desk, RequestInfo(cookies, passive=True))
    runtime.blocking.load(x)
    return Session(x, runtime.blocking, None)


# A runtime is otherwise kept by the application that runs on it, which comes later.
_clocked: list[Runtime] = []


def set_clock(settings: Any, clock: Any) -> Runtime:
    """Let everything made from these settings run by `clock`; call it before the application.

    Raises:
        ConfigurationError: the settings are in use already.
    """
    wanted = Runtime(settings, clock=clock)
    if register(wanted) is not wanted:
        raise ConfigurationError("set_clock() must come before the first use of the settings")
    _clocked.append(wanted)
    return wanted


def runtime_in(client: Any) -> Runtime:
    """The runtime of the application behind a test client.

    Raises:
        ConfigurationError: no session middleware was found.
    """
    application = getattr(client, "app", None) or getattr(client, "application", None)
    seen: set[int] = set()
    while application is not None and id(application) not in seen:
        seen.add(id(application))
        found = _runtime_at(application)
        if found is not None:
            return found
        application = getattr(application, "app", None) or _stack_of(application)
    if hasattr(client, "handler") and hasattr(client, "cookies"):
        from ..adapters.django.conf import runtime as django_runtime

        return django_runtime()
    raise ConfigurationError(
        "no session middleware was found behind this test client; is SessionMiddleware added?"
    )


def _stack_of(application: Any) -> Any:
    """The outermost middleware of a Starlette application, built as its first request would."""
    if getattr(application, "middleware_stack", None) is None:
        build = getattr(application, "build_middleware_stack", None)
        if build is None:
            return None
        application.middleware_stack = build()
    return application.middleware_stack


def _runtime_at(application: Any) -> Runtime | None:
    runtime = getattr(application, "runtime", None)
    if isinstance(runtime, Runtime):
        return runtime
    extension = getattr(application, "extensions", {}).get("openclaw")
    if extension is not None:
        return runtime_of(extension)
    if hasattr(application, "build_middleware_stack"):
        # Starlette builds its stack at the first request, which is still to come.
        if application.middleware_stack is None:
            application.middleware_stack = application.build_middleware_stack()
        return _runtime_below(application.middleware_stack)
    return None


def _runtime_below(layer: Any) -> Runtime | None:
    while layer is not None:
        runtime = getattr(layer, "runtime", None)
        if isinstance(runtime, Runtime):
            return runtime
        layer = getattr(layer, "app", None)
    return None


def _set_cookie(client: Any, name: str, value: str) -> None:
    if hasattr(client, "cookiejar"):
        client.cookiejar.set_cookie(_as_if_answered(client, name, value))
    elif hasattr(client, "set_cookie"):
        client.set_cookie(name, value)
    elif hasattr(client.cookies, "set"):
        client.cookies.set(name, value, domain=_domain(client.base_url.host))
    else:
        client.cookies[name] = value


def _as_if_answered(client: Any, name: str, value: str) -> Cookie:
    """The cookie as the jar would hold it from a response, so that the next one replaces it.

    WebTest's own `set_cookie` quotes the value and files it under another domain.
    """
    domain = _domain(client.extra_environ.get("HTTP_HOST", "localhost").partition(":")[0])
    return Cookie(
        0, name, value, None, False, domain, False, False, "/", True,
        False, None, True, None, None, {},
    )  # fmt: skip


def _domain(host: str) -> str:
    """Where jars file the cookies of a host."""
    return host if "." in host else f"{host}.local"


def _get_cookie(client: Any, name: str) -> str | None:
    if hasattr(client, "get_cookie"):
        cookie = client.get_cookie(name)
        return None if cookie is None else str(cookie.value)
    cookies = client.cookies
    found = cookies.get(name)
    return None if found is None else str(getattr(found, "value", found))
