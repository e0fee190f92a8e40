"""Django: a middleware with all promises, a session engine under Django's own middleware, checks.

`get_session` and `get_manager` are here; the application is `openclaw_middleware.adapters.django`
in `INSTALLED_APPS`. Importing this module needs no configured settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import ConfigurationError, MissingDependency
from .views import RecentLoginMixin, require_recent

try:
    import django  # noqa: F401  # everything in here needs it
except ImportError as error:
    raise MissingDependency("Django", "django") from error

if TYPE_CHECKING:
    from ...manager import AsyncSessionManager, SessionManager
    from .session import DjangoSession

__all__ = ["RecentLoginMixin", "aget_manager", "get_manager", "get_session", "require_recent"]


def get_session(request: Any) -> DjangoSession:
    """The session of a request, typed: Django's calls and ours on one object.

    Raises:
        ConfigurationError: the middleware is not installed, or `skip_paths` covers this path.
    """
    from .session import DjangoSession, SkippedSession

    session = getattr(request, "session", None)
    if isinstance(session, SkippedSession) or not isinstance(session, DjangoSession):
        raise ConfigurationError(
            "there is no session here: put openclaw_middleware.adapters.django.middleware."
            "SessionMiddleware into MIDDLEWARE, and see that skip_paths does not cover this path"
        )
    return session


def get_manager(request: object = None) -> SessionManager:
    """The manager of this project's sessions, in and outside of requests."""
    from ...manager import SessionManager
    from .conf import runtime

    return SessionManager(runtime())


def aget_manager(request: object = None) -> AsyncSessionManager:
    """The same for asynchronous code; making it does no I/O."""
    from ...manager import AsyncSessionManager
    from .conf import runtime

    return AsyncSessionManager(runtime())
