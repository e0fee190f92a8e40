"""From Django's settings to a deployment at work; read when needed, and again when they change.

The cookie is Django's: `SESSION_COOKIE_*` alone describe it. Everything else may be said in the
`OPENCLAW` dict. No request and no database in here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from ...config import SessionSettings
from ...errors import ConfigurationError
from .deployment import Deployment

IDENTITY_KEY = "_auth_user_id"
DEFAULT_STORE = "django:default"

# Our own keys of the OPENCLAW dict, beside those of SessionSettings.
AUTH_BACKEND = "AUTH_BACKEND"

_COOKIE_SETTINGS = {
    "cookie_name": "SESSION_COOKIE_NAME",
    "cookie_domain": "SESSION_COOKIE_DOMAIN",
    "cookie_path": "SESSION_COOKIE_PATH",
    "cookie_secure": "SESSION_COOKIE_SECURE",
    "cookie_samesite": "SESSION_COOKIE_SAMESITE",
}
_READ = (
    "OPENCLAW",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SESSION_COOKIE_AGE",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_EXPIRE_AT_BROWSER_CLOSE",
    "SESSION_SAVE_EVERY_REQUEST",
    *_COOKIE_SETTINGS.values(),
)
# override_settings comes and goes; the deployment before it is taken up again afterwards.
_KEPT = 8
_HOURS_8 = 28800


def framework_defaults() -> dict[str, Any]:
    """What Django's own settings say, by the names of `SessionSettings`."""
    samesite: object = django_settings.SESSION_COOKIE_SAMESITE
    return {
        "secret_key": django_settings.SECRET_KEY,
        "secret_key_fallbacks": list(django_settings.SECRET_KEY_FALLBACKS),
        "store": DEFAULT_STORE,
        "identity_key": IDENTITY_KEY,
        "cookie_name": django_settings.SESSION_COOKIE_NAME,
        "cookie_domain": django_settings.SESSION_COOKIE_DOMAIN,
        "cookie_path": django_settings.SESSION_COOKIE_PATH,
        # Django's default is False for the sake of plain http; browsers keep Secure cookies on
        # localhost, so only a project that says False means it.
        "cookie_secure": _explicit("SESSION_COOKIE_SECURE", True),
        "cookie_samesite": samesite if isinstance(samesite, str) else "lax",
        **_lifetimes(),
    }


def _explicit(name: str, default: Any) -> Any:
    return getattr(django_settings, name) if django_settings.is_overridden(name) else default


def _lifetimes() -> dict[str, Any]:
    """Limits that follow from SESSION_COOKIE_AGE, where the project set it.

    Django counts it from the last save: with SESSION_SAVE_EVERY_REQUEST that is the last request,
    an idle limit; without it is as good as the sign-in, an absolute one.
    """
    age = _explicit("SESSION_COOKIE_AGE", None)
    if age is None:
        return {}
    if django_settings.SESSION_SAVE_EVERY_REQUEST:
        return {"idle_timeout_seconds": age, "absolute_timeout_seconds": max(age, _HOURS_8)}
    return {"idle_timeout": None, "absolute_timeout_seconds": age}


def auth_backend() -> str | None:
    """Who vouches for sign-ins made by other frameworks: OPENCLAW["AUTH_BACKEND"], else the first
    of AUTHENTICATION_BACKENDS."""
    given: Mapping[str, Any] = getattr(django_settings, "OPENCLAW", {})
    chosen = given.get(AUTH_BACKEND, given.get(AUTH_BACKEND.lower()))
    return chosen or next(iter(django_settings.AUTHENTICATION_BACKENDS), None)


def persistent() -> bool:
    """Whether the cookie of the default policy outlives the browser.

    It does in Django unless SESSION_EXPIRE_AT_BROWSER_CLOSE; here only where the project asked
    for it, by that setting or by an explicit SESSION_COOKIE_AGE.
    """
    asked = django_settings.is_overridden("SESSION_COOKIE_AGE") or django_settings.is_overridden(
        "SESSION_EXPIRE_AT_BROWSER_CLOSE"
    )
    return asked and not django_settings.SESSION_EXPIRE_AT_BROWSER_CLOSE


def load_settings() -> SessionSettings:
    """The validated settings.

    Raises:
        ConfigurationError: one line for each thing that is wrong.
    """
    problems = cookie_problems()
    if problems:
        raise ConfigurationError("\n".join(f"{what}: {mend}" for _, what, mend in problems))
    return load_checked()


def cookie_problems() -> list[tuple[str, str, str]]:
    """What Django's cookie settings say and we cannot do: number of the check, what, the mend."""
    found = []
    if not django_settings.SESSION_COOKIE_HTTPONLY:
        found.append(
            (
                "E003",
                "SESSION_COOKIE_HTTPONLY is False, so that scripts could read the session cookie",
                "Remove the setting: the cookie is always HttpOnly.",
            )
        )
    samesite: object = django_settings.SESSION_COOKIE_SAMESITE
    if not isinstance(samesite, str):
        found.append(
            (
                "E004",
                f"SESSION_COOKIE_SAMESITE is {samesite!r}, which leaves it to the browser",
                'Set it to "Lax", "Strict" or "None".',
            )
        )
    return found


def load_checked() -> SessionSettings:
    """The validated settings, but for `cookie_problems`.

    Raises:
        ConfigurationError: one line for each thing that is wrong.
    """
    given = getattr(django_settings, "OPENCLAW", {})
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"OPENCLAW must be a dict, not {type(given).__name__}")
    ours = {key: value for key, value in given.items() if str(key).upper() != AUTH_BACKEND}
    settings = SessionSettings.load(app_settings=ours, framework_defaults=framework_defaults())
    for name, instead in _COOKIE_SETTINGS.items():
        origin = settings.origins[name]
        if origin not in ("framework settings", "default"):
            raise ConfigurationError(
                f"{name} ({origin}) has no effect in Django, whose test client and Channels read "
                f"{instead}: set that instead"
            )
    return settings


_lock = threading.Lock()
_current: Deployment | None = None
_recent: list[tuple[list[Any], Deployment]] = []


def runtime() -> Deployment:
    """The deployment of the settings as they are now."""
    return _current or _find()


def _find() -> Deployment:
    global _current
    with _lock:
        read = [_fingerprint(name) for name in _READ]
        found = next((known for seen, known in _recent if seen == read), None)
        if found is None:
            found = Deployment(load_settings(), persistent=persistent())
            _recent.insert(0, (read, found))
            del _recent[_KEPT:]
        _current = found
        return found


def _fingerprint(name: str) -> tuple[Any, bool]:
    return getattr(django_settings, name, None), django_settings.is_overridden(name)


def _settings_changed(*, setting: str, **_: Any) -> None:
    global _current
    if setting in _READ:
        _current = None


setting_changed.connect(_settings_changed, dispatch_uid="openclaw_middleware")


@contextmanager
def using(deployment: Deployment) -> Iterator[Deployment]:
    """Let this project run on a deployment made by hand: with a clock, with listeners."""
    global _current
    before, _current = _current, deployment
    try:
        yield deployment
    finally:
        _current = before
