"""What type checkers and editors know of the settings' arguments; no value lives here.

The model's own annotations say what a setting holds once validated (seconds, tuples); these say
what may be given. A test keeps the two lists of names equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, TypedDict

from pydantic import SecretStr

from .core.policy import Policy

Duration = timedelta | float
SecretText = str | bytes | SecretStr


class Options(TypedDict, total=False):
    """Every setting that has a default."""

    secret_key_fallbacks: Sequence[SecretText]
    user_tag_key: SecretText | None
    namespace: str
    idle_timeout: Duration | None
    absolute_timeout: Duration
    touch_interval: Duration | None
    rotation_interval: Duration | None
    rotation_grace: Duration
    policies: Mapping[str, Policy | Mapping[str, Any]]
    policy_paths: Mapping[str, str]
    login_url: str | None
    cookie_name: str | None
    cookie_secure: bool
    cookie_samesite: Literal["lax", "strict", "none", "Lax", "Strict", "None"]
    cookie_path: str
    cookie_domain: str | None
    cookie_partitioned: bool
    previous_cookies: Sequence[str | Mapping[str, str | None]]
    clear_site_data: Sequence[Literal["cache", "storage"]]
    codec: Literal["msgpack", "json"]
    compress_over: int | None
    compression: Literal["zlib", "zstd"]
    encryption_keys: Sequence[SecretText]
    max_sessions_per_user: int | None
    on_limit: Literal["end_oldest", "reject"]
    on_store_error: Literal["unavailable", "anonymous"] | Callable[..., Any]
    on_ended: Literal["drop", "error"]
    store_timeout: Duration
    ended_retention: Duration
    tombstone_retention: Duration
    skip_paths: Sequence[str]
    passive_paths: Sequence[str]
    socket_poll_interval: Duration
    client_info: Literal["none", "user_agent", "full"]
    trusted_proxies: Sequence[str]
    identity_key: str | None
    enable_heartbeat: bool
    heartbeat_interval: Duration | None
    heartbeat_prefix: str
    warning_lead: Duration
    absolute_warning_lead: Duration


class Arguments(Options):
    """All settings, as the constructor takes them."""

    secret_key: SecretText
    store: Any


class Overrides(Options, total=False):
    """All settings, none of them required."""

    secret_key: SecretText
    store: Any
