"""How settings and their problems are shown to people: one error for all of it, no secret in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr, ValidationError

from .config_units import brief
from .core.policy import Policy
from .errors import ConfigurationError

if TYPE_CHECKING:
    from .config import SessionSettings
    from .config_layers import Given

SECRETS = frozenset({"secret_key", "secret_key_fallbacks", "user_tag_key", "encryption_keys"})
MASK = "**********"

_PASSWORD = re.compile(r"([?&;][^=&;]*(?:pass|pwd|secret|token|key)[^=&;]*=)[^&;]*", re.IGNORECASE)
_REQUIRED = {
    "secret_key": "is required: make one with `openclaw-middleware new-key` and keep it secret",
    "store": "is required: a URL such as sqlite:///sessions.db or redis://localhost/0",
}
_WORDING = {"missing": "is required", "extra_forbidden": "unknown key"}


def mask_url(value: object) -> object:
    """The URL without its password; anything else unchanged, a ready object by its type."""
    if not isinstance(value, str):
        return f"<{type(value).__qualname__}>"
    scheme, separator, rest = value.partition("://")
    # A password may hold any character that somebody forgot to quote, so everything up to the
    # last @ counts as user and password.
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    rest = f"{user}:{MASK}@{place}" if at and colon else rest
    return _PASSWORD.sub(rf"\g<1>{MASK}", f"{scheme}{separator}{rest}")


def problems_of(error: ValidationError, given: Mapping[str, Given]) -> dict[str, list[str]]:
    """Lines for a person, by setting."""
    found: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_context=False):
        name = str(detail["loc"][0]) if detail["loc"] else "settings"
        place = "".join(f"[{part}]" for part in detail["loc"][1:])
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "missing" and not place:
            message = _REQUIRED.get(name, "is required")
        elif detail["type"] in _WORDING:
            message = _WORDING[detail["type"]]
        elif detail["type"] != "value_error" and name not in SECRETS:
            message = message.replace("Input should be", "must be")
            message = f"{message}, not {brief(detail['input'])}"
        where = given[name].prefix if name in given else ""
        lines = found.setdefault(name, [])
        lines += [f"{where}{name}{place}: {line}" for line in message.split("\n")]
    return found


def failure(problems: Sequence[str]) -> ConfigurationError:
    """One error with every problem on a line of its own."""
    if len(problems) == 1:
        return ConfigurationError(f"session settings: {problems[0]}")
    lines = "".join(f"\n  - {line}" for line in problems)
    return ConfigurationError(f"session settings: {len(problems)} problems{lines}")


def shown(settings: SessionSettings) -> dict[str, Any]:
    """Every setting as plain values that JSON can hold, secrets masked."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    values["store"] = mask_url(values["store"])
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: object) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case SecretStr():
            return MASK
        case Policy():
            return {
                "idle_timeout": value.idle,
                "absolute_timeout": value.absolute,
                "persistent": value.persistent,
            }
        case BaseModel():
            return value.model_dump(exclude_unset=True)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case Sequence():
            return [_plain(item) for item in value]
    return getattr(value, "__qualname__", f"<{type(value).__qualname__}>")
