"""System checks, with ids that stay: `openclaw.E...` errors, `W...` warnings, `I...` notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.db import connections

from ...errors import ConfigurationError
from . import conf, tables
from .deployment import DJANGO_SCHEME

OURS = "openclaw_middleware.adapters.django.middleware.SessionMiddleware"
STOCK = "django.contrib.sessions.middleware.SessionMiddleware"
ENGINE = "openclaw_middleware.adapters.django.engine"


def check_settings(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """E001: a setting is wrong. E003, E004: the cookie cannot be as Django's settings say."""
    found: list[CheckMessage] = [
        Error(message, hint=hint, id=f"openclaw.{number}")
        for number, message, hint in conf.cookie_problems()
    ]
    try:
        conf.load_checked()
    except ConfigurationError as error:
        found += [Error(line, id="openclaw.E001") for line in _lines(error)]
    return found


def _lines(error: ConfigurationError) -> list[str]:
    return [line.strip(" -") for line in str(error).splitlines() if line.strip()]


def check_level(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """E002: two session middlewares. W001, W002: half installed. E005, W003, W007, I001: what the
    engine level does not keep."""
    ours, stock = OURS in settings.MIDDLEWARE, STOCK in settings.MIDDLEWARE
    engine = settings.SESSION_ENGINE == ENGINE
    found: list[CheckMessage] = []
    if ours and stock:
        found.append(
            Error(
                "Two session middlewares are installed; the inner one's session would hide the "
                "outer one's.",
                hint=f"Remove {STOCK!r} from MIDDLEWARE.",
                id="openclaw.E002",
            )
        )
    elif not ours and not (stock and engine):
        found.append(
            Warning(
                "openclaw_middleware is in INSTALLED_APPS, but nothing uses it.",
                hint=f"Put {OURS!r} into MIDDLEWARE in place of {STOCK!r}.",
                id="openclaw.W001",
            )
        )
    elif ours and not engine:
        found.append(
            Warning(
                "SESSION_ENGINE is another engine, so the test client, Channels and clearsessions "
                "look for sessions where there are none.",
                hint=f"Set SESSION_ENGINE = {ENGINE!r}.",
                id="openclaw.W002",
            )
        )
    elif stock:
        found += _engine_level()
    return found


def _engine_level() -> list[CheckMessage]:
    found: list[CheckMessage] = [
        Info(
            "Sessions run at the engine level: a save that was overtaken by a logout answers 400, "
            "an outage of the store 500, and session_key is the cookie.",
            hint=f"Put {OURS!r} into MIDDLEWARE in place of {STOCK!r} for all promises.",
            id="openclaw.I001",
        )
    ]
    deployment = _deployment()
    if deployment is None:
        return found
    hint = f"Put {OURS!r} into MIDDLEWARE in place of {STOCK!r}."
    if deployment.settings.policy_paths:
        found.append(
            Error(
                "policy_paths protects nothing under Django's session middleware, which does not "
                "say what path a session is used on.",
                hint=hint,
                id="openclaw.E005",
            )
        )
    if deployment.settings.rotation_interval is not None:
        found.append(
            Warning(
                "rotation_interval has no effect under Django's session middleware.",
                hint=hint,
                id="openclaw.W003",
            )
        )
    if deployment.settings.enable_heartbeat:
        found.append(
            Warning(
                "The heartbeat is enabled, but cannot be served under Django's session middleware.",
                hint=hint,
                id="openclaw.W007",
            )
        )
    return found


def check_deployment(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """W004: sessions lost at a restart. W005: a cookie for plain http. I002: the level."""
    deployment = _deployment()
    if deployment is None:
        return []
    found: list[CheckMessage] = []
    store = deployment.settings.store
    if isinstance(store, str) and store.startswith("memory:"):
        found.append(
            Warning(
                "The memory store forgets everybody at a restart, and no two processes share it.",
                hint='Give OPENCLAW another "STORE", such as "django:default" or redis://.',
                id="openclaw.W004",
            )
        )
    if OURS not in settings.MIDDLEWARE:
        return found
    if not deployment.settings.cookie_secure:
        found.append(
            Warning(
                "SESSION_COOKIE_SECURE is False: everybody on the way can take the session.",
                hint="Remove the setting; the cookie is Secure unless it says otherwise.",
                id="openclaw.W005",
            )
        )
    found.append(
        Info("Sessions run at the middleware level, with all promises.", id="openclaw.I002")
    )
    return found


def check_tables(
    app_configs: Any = None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """W006: the store is this database, and its tables are not there.

    No error, since `migrate`, which mends it, does not run while there are errors.
    """
    deployment = _deployment()
    if deployment is None or not isinstance(deployment.settings.store, str):
        return []
    store = deployment.settings.store
    alias = store.removeprefix(DJANGO_SCHEME)
    if not store.startswith(DJANGO_SCHEME) or alias not in (databases or ()):
        return []
    lacking = tables.missing(connections[alias])
    if not lacking:
        return []
    return [
        Warning(
            f"The session tables {', '.join(lacking)} do not exist in database {alias!r}.",
            hint=f"Run `manage.py migrate --database {alias}`.",
            id="openclaw.W006",
        )
    ]


def _deployment() -> Any:
    try:
        return conf.runtime()
    except ConfigurationError:  # told by check_settings
        return None
