"""Flask's configuration, read as session settings.

Flask's own keys count where the project set them; the `OPENCLAW` dict stands above them. What a
setting means is not decided here.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Unpack

from flask import Flask

from ..config import SessionSettings
from ..config_arguments import Overrides
from ..core.policy import PRESETS
from ..errors import ConfigurationError

CONFIG_KEY = "OPENCLAW"
PERMANENT = "permanent"
"""The policy of permanent sessions where the project set PERMANENT_SESSION_LIFETIME."""

IDENTITY_KEY = "_user_id"
"""Where Flask-Login keeps who is signed in."""

_SAME = {
    "SESSION_COOKIE_NAME": "cookie_name",
    "SESSION_COOKIE_DOMAIN": "cookie_domain",
    "SESSION_COOKIE_PATH": "cookie_path",
    "SESSION_COOKIE_SECURE": "cookie_secure",
    "SESSION_COOKIE_SAMESITE": "cookie_samesite",
    "SESSION_COOKIE_PARTITIONED": "cookie_partitioned",
}


def settings_of(app: Flask, **overrides: Unpack[Overrides]) -> SessionSettings:
    """The settings of a Flask application.

    Precedence: defaults < Flask's own keys < YAML file < `OPENCLAW` < environment < arguments.

    Raises:
        ConfigurationError: naming every key that is wrong.
    """
    _refuse_flat_keys(app)
    given = app.config.get(CONFIG_KEY) or {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f'app.config["{CONFIG_KEY}"] must be a dict such as '
            f'{{"STORE": "sqlite:///sessions.db"}}, not {type(given).__name__}'
        )
    return SessionSettings.load(
        app_settings=given, framework_defaults=framework_defaults(app), **overrides
    )


def framework_defaults(app: Flask) -> dict[str, Any]:
    """What Flask's own keys say, in the words of the settings."""
    config = app.config
    found: dict[str, Any] = {"identity_key": IDENTITY_KEY}
    if config.get("SECRET_KEY"):
        found["secret_key"] = config["SECRET_KEY"]
    if config.get("SECRET_KEY_FALLBACKS"):
        found["secret_key_fallbacks"] = list(config["SECRET_KEY_FALLBACKS"])
    for key, name in _SAME.items():
        if _was_set(app, key) and config[key]:
            found[name] = config[key]
    if "cookie_path" not in found and _was_set(app, "APPLICATION_ROOT"):
        found["cookie_path"] = config["APPLICATION_ROOT"]
    if not config.get("SESSION_COOKIE_HTTPONLY", True):
        raise ConfigurationError(
            "SESSION_COOKIE_HTTPONLY = False cannot be kept: scripts never see this cookie; "
            "remove the setting"
        )
    if _was_set(app, "PERMANENT_SESSION_LIFETIME"):
        found["policies"] = {PERMANENT: _permanent(config["PERMANENT_SESSION_LIFETIME"])}
    return found


def _permanent(lifetime: object) -> dict[str, Any]:
    """Flask renews a permanent session with every use, which makes its lifetime an idle limit."""
    if isinstance(lifetime, bool) or not isinstance(lifetime, timedelta | int | float):
        raise ConfigurationError(
            f"PERMANENT_SESSION_LIFETIME must be a timedelta or seconds, not {lifetime!r}"
        )
    seconds = lifetime.total_seconds() if isinstance(lifetime, timedelta) else float(lifetime)
    return {
        "idle_timeout_seconds": seconds,
        "absolute_timeout_seconds": max(seconds, PRESETS["remember"].absolute),
        "persistent": True,
    }


def _was_set(app: Flask, key: str) -> bool:
    """Whether the project set it; Flask does not tell its default from the same value set."""
    return key in app.config and app.config[key] != app.default_config.get(key)


def _refuse_flat_keys(app: Flask) -> None:
    flat = sorted(key for key in app.config if key.startswith(f"{CONFIG_KEY}_"))
    others = [key for key in app.config if key != CONFIG_KEY]
    near = difflib.get_close_matches(CONFIG_KEY, others, 1, cutoff=0.8)
    if flat:
        name = flat[0].removeprefix(f"{CONFIG_KEY}_")
        raise ConfigurationError(
            f'app.config["{flat[0]}"] is not read: write '
            f'app.config["{CONFIG_KEY}"] = {{"{name}": ...}}'
        )
    if near:
        raise ConfigurationError(f"unknown key {near[0]}; did you mean {CONFIG_KEY}?")
