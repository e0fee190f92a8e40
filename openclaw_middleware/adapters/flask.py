"""The Flask adapter: `flask.session` is our session, committed before the response leaves.

The WSGI driver does the work, around the application: inside it, error handlers and a second
call of `save_session` would get in the way of a failed commit. What is here opens, in Flask's
places, the session the driver made; where no driver runs (`session_transaction()`,
`test_request_context()`) it does the driver's part itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta, tzinfo
from functools import wraps
from typing import Any, ParamSpec, TypeVar, Unpack, cast

from flask import Flask, Request, Response, current_app, has_app_context, has_request_context
from flask.globals import request_ctx
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.local import LocalProxy
from werkzeug.middleware.proxy_fix import ProxyFix

from ..answers import answer_for
from ..config_arguments import Overrides
from ..errors import (
    ConfigurationError,
    LoginRefused,
    ReauthenticationRequired,
    SessionEnded,
    StoreError,
)
from ..heartbeat_markup import Html, Value, Wishes
from ..heartbeat_markup import session_keeper as _markup
from ..manager import SessionManager
from ..runtime import Runtime, runtime_of
from ..wsgi import MANAGER_KEY, SESSION_KEY, SessionMiddleware, exchange_of
from ..wsgi import get_session as session_of_environ
from .flask_config import settings_of
from .flask_session import FlaskSession, NoSession, TemplateSession

EXTENSION = "openclaw"
P = ParamSpec("P")
R = TypeVar("R")


class OpenClaw:
    """Sessions for Flask applications.

    Args:
        app: the application; leave it out to call `init_app` later, for any number of them.
        sessions: `SessionSettings` or a manager, to share sessions between applications; the
            applications' configuration is not read then. Default: each application's own
            `app.config["OPENCLAW"]`, over Flask's `SECRET_KEY`, `SESSION_COOKIE_*` and
            `PERMANENT_SESSION_LIFETIME`.
        settings: single settings that win over every other source.

    Raises:
        ConfigurationError: naming every setting that is wrong.
    """

    def __init__(
        self, app: Flask | None = None, sessions: Any = None, **settings: Unpack[Overrides]
    ) -> None:
        if sessions is not None and settings:
            raise ConfigurationError(
                f"sessions= is complete in itself: leave out {', '.join(sorted(settings))}, or "
                "leave out sessions="
            )
        self._sessions = sessions
        self._settings = settings
        self._app = app
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Give an application its sessions; its configuration must be complete by now.

        Raises:
            ConfigurationError: a setting is wrong, or the application has sessions already.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError(f"OpenClaw was already initialised for {app.name}")
        if self._sessions is not None:
            runtime = runtime_of(self._sessions)
        else:
            runtime = Runtime(settings_of(app, **self._settings))
        app.extensions[EXTENSION] = runtime
        app.session_interface = OpenClawInterface(runtime)
        _surround(app, runtime)
        handlers = app.error_handler_spec[None][None]
        for error in (StoreError, LoginRefused, SessionEnded, ReauthenticationRequired):
            handlers.setdefault(error, _answered)
        _show_to_templates(app)
        _hear_of_sign_ins(app)
        if runtime.heartbeat is not None:
            runtime.heartbeat.farewells[app] = _forgetting

    @property
    def manager(self) -> SessionManager:
        """The sessions of the current application, seen from outside a request.

        Raises:
            ConfigurationError: no application is active, and none was given to the constructor.
        """
        if has_app_context() and EXTENSION in current_app.extensions:
            return get_manager()
        if self._app is None:
            raise ConfigurationError(
                "which application's sessions? Use `with app.app_context():`, or get_manager(app)"
            )
        return get_manager(self._app)


def _surround(app: Flask, runtime: Runtime) -> None:
    """Put the driver around the application, but inside of what tells it where it hangs: paths,
    host and address must be known by then."""
    around: Any = None
    inner: Any = app.wsgi_app
    while isinstance(inner, ProxyFix):
        around, inner = inner, inner.app
    driven = SessionMiddleware(inner, runtime)
    if around is None:
        app.wsgi_app = driven  # type: ignore[method-assign]
    else:
        around.app = driven


class OpenClawInterface(SessionInterface):
    """Hands out the session of the driver around the application, or makes and commits one."""

    null_session_class = NoSession

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        """The session of this request; nothing is loaded yet. None where `skip_paths` says so."""
        driver = self.runtime.blocking
        if request.environ.get(MANAGER_KEY) is self.runtime:
            outer = session_of_environ(request.environ)
            found = FlaskSession(outer._x, driver, None)
            request.environ[SESSION_KEY] = found
            return found
        exchange = exchange_of(self.runtime, request.environ)
        return None if exchange is None else _OwnSession(exchange, driver, None)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Commit a session that no driver will; one that a driver opened is left to it.

        Raises:
            StoreError, LoginRefused, SessionEnded: nothing was saved.
        """
        if not isinstance(session, _OwnSession):
            return
        x, driver = session._x, self.runtime.blocking
        driver.commit(x, failed=response.status_code >= 500)
        if x.touch_due():
            driver.touch(x)
        if x.accessed or x.cookie is not None:
            headers = x.finish_headers(list(response.headers))
            response.headers.clear()
            response.headers.extend(headers)


class _OwnSession(FlaskSession):
    """A session the interface opened itself: nobody else commits it."""


def _answered(error: Exception) -> Response:
    """What the driver would answer, for errors the application did not handle itself."""
    found: Any = request_ctx.session
    sign_in = None
    if isinstance(found, FlaskSession):
        sign_in = found._x.request.sign_in
        found._x.veil()
    answer = answer_for(error, [], sign_in)
    assert answer is not None  # noqa: S101  # registered for exactly these errors
    return Response(answer.body, answer.status, answer.headers)


def _hear_of_sign_ins(app: Flask) -> None:
    """Count `login_user()` and `confirm_login()` of whoever is signed in already as sign-ins, too;
    and tell those apart that Flask-Login's own cookie makes.

    Flask-Login, where it is used, sets its key to the same value then, which alone says nothing
    about a password.
    """
    try:
        from flask_login import user_loaded_from_cookie, user_logged_in, user_login_confirmed
    except ImportError:
        return
    user_logged_in.connect(_renew_sign_in, app)
    user_login_confirmed.connect(_renew_sign_in, app)
    user_loaded_from_cookie.connect(_note_remembered, app)


def _renew_sign_in(app: Flask, **_: Any) -> None:
    session = get_session()
    draft = session._state().draft
    if session.user_id is not None and not (draft is not None and draft.login):
        session.login(session.user_id)


def _note_remembered(app: Flask, **_: Any) -> None:
    get_session().note_remembered()


def _forgetting(app: Flask) -> list[tuple[str, str]]:
    """The deletion of Flask-Login's own cookie, with which it would sign the person in again."""
    if not hasattr(app, "login_manager"):
        return []
    response = Response()
    response.delete_cookie(
        app.config.get("REMEMBER_COOKIE_NAME", "remember_token"),
        domain=app.config.get("REMEMBER_COOKIE_DOMAIN"),
        path=app.config.get("REMEMBER_COOKIE_PATH", "/"),
    )
    return [("Set-Cookie", value) for value in response.headers.getlist("Set-Cookie")]


def _show_to_templates(app: Flask) -> None:
    """Let `session.name` in templates find keys first, in imported templates too; and give them
    `session_keeper()`."""
    shown = TemplateSession()
    app.context_processor(lambda: {"session": shown} if has_request_context() else {})
    shared = {"session": shown, "session_keeper": session_keeper}
    if "jinja_env" in app.__dict__:
        app.jinja_env.globals.update(shared)
        return
    make = app.create_jinja_environment

    def create_jinja_environment() -> Any:
        environment = make()
        environment.globals.update(shared)
        return environment

    app.create_jinja_environment = create_jinja_environment  # type: ignore[method-assign]


def get_session(request: Any = None) -> FlaskSession:
    """The session of the current request (or of the given one), typed.

    Raises:
        ConfigurationError: there is no request, no `OpenClaw`, or `skip_paths` covers this path.
    """
    if request is None:
        if not has_request_context():
            raise ConfigurationError("there is no request here, and so no session")
        found: Any = request_ctx.session
    else:
        found = session_of_environ(request)
    if not isinstance(found, FlaskSession):
        raise ConfigurationError(
            "there is no session here: call OpenClaw(app), and see that skip_paths does not "
            "cover this path"
        )
    return found


def require_recent(max_age: float | timedelta) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a view that demands a sign-in within the last `max_age` seconds.

    It stands below `@app.route`; `async def` views and `View.decorators` work as well. Whose
    sign-in is older is answered 401, or sent to `login_url`; an error handler registered for
    `ReauthenticationRequired` goes before that.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            get_session().require_recent(max_age)
            return cast("R", current_app.ensure_sync(view)(*args, **kwargs))

        return checked

    return decorate


def session_keeper(
    *,
    lang: str = "",
    nonce: str = "",
    timezone: tzinfo = UTC,
    noscript: str | None = None,
    **attributes: Value,
) -> Html:
    """The heartbeat's markup for a page, in every template: `{{ session_keeper() }}`.

    Args:
        lang: language of the page, such as "de"; English if not given.
        nonce: of the page's Content-Security-Policy.
        timezone: in which the `<noscript>` line tells the end.
        noscript: replaces that line, with `{time}` in it; empty for none.
        attributes: of the `<session-keeper>` element, with underscores for hyphens.
    """
    found: Any = request_ctx.session if has_request_context() else None
    if not isinstance(found, FlaskSession):
        return Html("")
    runtime = current_app.extensions[EXTENSION]
    return _markup(found, runtime, Wishes(lang, nonce, timezone, noscript), attributes)


def get_manager(app: Flask | None = None) -> SessionManager:
    """The manager of the sessions of an application, by default the current one.

    Raises:
        ConfigurationError: it has no `OpenClaw`, or there is no current application.
    """
    if app is None:
        if not has_app_context():
            raise ConfigurationError("there is no current application: use app.app_context()")
        app = cast(Flask, cast(Any, current_app)._get_current_object())
    runtime = app.extensions.get(EXTENSION)
    if not isinstance(runtime, Runtime):
        raise ConfigurationError(f"{app.name} has no sessions of ours: call OpenClaw(app)")
    return SessionManager(runtime)


current_session = cast(FlaskSession, LocalProxy(get_session))
"""The session of the current request, for type checkers as well; the same as `flask.session`."""
