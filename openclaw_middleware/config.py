"""The settings: one validated, frozen model, and what the core, cookies and stores need of it.

`SessionSettings(...)` reads its arguments only; `load` merges the mouths (`config_mouths`). What
one setting may hold is in `config_fields`, what contradicts what in `config_checks`. No framework
and no engine is imported here.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NoReturn, Self, Unpack

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from . import config_fields as fields
from .config_arguments import Arguments, Overrides
from .config_checks import advice, violations
from .config_mouths import Layer, as_arguments, gather
from .config_report import failure, mask_url, problems_of
from .core.contract import Limit
from .core.cookies import CookieSpec
from .core.policy import PRESETS, Policy, Rules
from .stores.base import StoreOptions

_log = logging.getLogger(__name__)
_DAY = 86400.0


class SessionSettings(BaseModel):
    """Everything that can be set, checked as a whole when it is made; it cannot be changed later.

    The constructor reads its arguments only: no environment, no file. Durations are a `timedelta`
    or a number of seconds, and are seconds once validated.

    Raises:
        ConfigurationError: one line for each thing that is wrong, with the mend.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    secret_key: fields.LongSecret = Field(
        description="Text of at least 32 characters, required. Signs the cookies: whoever knows "
        "it can forge them, and changing it without a fallback signs everybody out."
    )
    secret_key_fallbacks: fields.LongSecrets = Field(
        (),
        description="Former values of secret_key [none]. Their cookies are still accepted; remove "
        "one when the longest absolute limit has passed since the change.",
    )
    store: fields.StoreSource = Field(
        description="URL of the store, such as sqlite:///sessions.db or redis://localhost/0, or "
        "(in Python) a ready client, engine or store; required. Changing it signs everybody out."
    )
    user_tag_key: fields.LongSecret | None = Field(
        None,
        description="Text of at least 32 characters [that of secret_key]. Hides user ids in "
        "session ids. Changing it signs every user out, so set it before secret_key is changed "
        "(to the secret_key of before, if it was not set).",
    )
    namespace: fields.Namespace = Field(
        "openclaw",
        description="Prefix of keys and tables, 1-32 lower-case letters, digits and _ [openclaw]. "
        "Applications that share sessions share it.",
    )

    idle_timeout: fields.Seconds | None = Field(
        1800.0,
        description="Duration [30 minutes]; null for no idle limit. A session without activity "
        "for this long ends.",
    )
    absolute_timeout: fields.Seconds = Field(
        28800.0,
        description="Duration [8 hours]. A session ends this long after its sign-in, however "
        "active it is.",
    )
    touch_interval: fields.Seconds | None = Field(
        None,
        description="Duration [a tenth of the idle limit]. Activity is written down at most this "
        "often; longer means fewer writes and a less exact idle limit.",
    )
    rotation_interval: fields.Seconds | None = Field(
        None,
        description="Duration [off]. The cookie's secret is replaced when it was used for this "
        "long, so that a stolen cookie is noticed.",
    )
    rotation_grace: fields.Seconds = Field(
        30.0,
        description="Duration [30 seconds]. How long a replaced secret is still accepted after "
        "its successor was first presented; too short ends sessions over slow requests.",
    )
    policies: fields.Policies = Field(
        default_factory=lambda: MappingProxyType({}),
        description="Named lifetimes [none; remember, nist_aal1, nist_aal2 and nist_aal3 are "
        "always there]: idle_timeout, absolute_timeout, persistent (true or false). A limit left "
        "out is that of the preset of this name, else the site's.",
    )
    policy_paths: fields.PathPolicies = Field(
        default_factory=lambda: MappingProxyType({}),
        description="Path prefix to policy name [none]. A sign-in below the prefix gets this "
        "policy.",
    )

    cookie_name: fields.CookieName | None = Field(
        None,
        description="Name of the cookie, sent verbatim [__Host-session with Secure, without "
        "Domain, on path /; else session]. Changing it signs everybody out.",
    )
    cookie_secure: fields.Flag = Field(
        True,
        description="True or false [true]. False lets the cookie travel over plain http, where "
        "everybody on the way can steal the session.",
    )
    cookie_samesite: fields.SameSite = Field(
        "lax",
        description="lax, strict or none [lax]. none sends the cookie from other sites' pages as "
        "well and needs Secure; strict makes visitors who follow a link look signed out.",
    )
    cookie_path: fields.CookiePath = Field(
        "/", description="Path the cookie is sent to [/]. It is no protection between paths."
    )
    cookie_domain: fields.Domain | None = Field(
        None,
        description="Host name [this host only]. Every subdomain of it sees the cookie and can "
        "overwrite it.",
    )
    cookie_partitioned: fields.Flag = Field(
        False,
        description="True or false [false]. A separate cookie in each embedding site (CHIPS); "
        "needs Secure.",
    )
    previous_cookies: fields.PreviousCookies = Field(
        (),
        description="Cookies the site used before [none]: names, or mappings with name, domain, "
        "path (what is left out is as in the current cookie). They are deleted with the session.",
    )

    codec: Literal["msgpack", "json"] = Field(
        "msgpack",
        description="msgpack or json [msgpack]. How data are written; what was written in the "
        "other stays readable.",
    )
    compress_over: fields.Size | None = Field(
        None,
        description="Bytes [off]. Data longer than this are compressed before they are stored.",
    )
    compression: Literal["zlib", "zstd"] = Field(
        "zlib",
        description="zlib or zstd [zlib]. zstd is faster and needs the extra of its name.",
    )
    encryption_keys: fields.Keys = Field(
        (),
        description="Keys of 32 bytes, base64url, the current one first [off]. Data are encrypted "
        "with AES-256-GCM; without its key a session cannot be read any more.",
    )

    max_sessions_per_user: fields.Count | None = Field(
        None, description="Whole number from 1 [no limit]. How often a user may be signed in."
    )
    on_limit: Literal["end_oldest", "reject"] = Field(
        "end_oldest",
        description="end_oldest or reject [end_oldest]. What a sign-in over the limit does: end "
        "the longest inactive session, or be refused.",
    )
    on_store_error: fields.OnStoreError = Field(
        "unavailable",
        description="unavailable, anonymous or (in Python) a callable that is given the error and "
        "answers one of the two [unavailable]. When the store is down, a request that needs its "
        "session is answered 503, or goes on with an empty read-only session.",
    )
    on_ended: Literal["drop", "error"] = Field(
        "drop",
        description="drop or error [drop]. What happens to changes of a session that another "
        "request ended meanwhile: dropped with an event, or answered 409.",
    )
    store_timeout: fields.Seconds = Field(
        1.0,
        description="Duration [1 second]. All store work of a request may take this long, waiting "
        "for a connection included; then the store counts as down.",
    )
    ended_retention: fields.Seconds = Field(
        3600.0,
        description="Duration [1 hour]. How long an expired session is kept to say why it ended.",
    )
    tombstone_retention: fields.Seconds = Field(
        86400.0,
        description="Duration [24 hours]. How long the note is kept that a session was ended; "
        "afterwards the answer is gone. It is about the reason only: an ended session stays dead.",
    )

    skip_paths: fields.Paths = Field(
        (), description="Path prefixes [none]. Requests below them have no session at all."
    )
    passive_paths: fields.Paths = Field(
        (),
        description="Path prefixes [none]. Requests below them use the session, but do not count "
        "as activity: polling keeps nobody signed in.",
    )
    client_info: Literal["none", "user_agent", "full"] = Field(
        "none",
        description="none, user_agent or full (with the IP address) [none]. What a session "
        "remembers of the client it began on, for a list of devices.",
    )
    trusted_proxies: fields.Networks = Field(
        (),
        description="Addresses or networks such as 10.0.0.0/8 [none]. Only their X-Forwarded-For "
        "is believed.",
    )
    identity_key: fields.Key | None = Field(
        None,
        description="A key of the session [none; Django and Flask have their own]. It shows the "
        "user id; setting it signs in, removing it signs out.",
    )

    enable_heartbeat: fields.Flag = Field(
        False,
        description="True or false [false]. Open pages keep an active visitor's session alive and "
        "warn before it ends.",
    )
    heartbeat_interval: fields.Seconds | None = Field(
        None,
        description="Duration [computed from the idle limit]. How often an open page reports; at "
        "most a third of the idle limit.",
    )
    heartbeat_prefix: fields.CookiePath = Field(
        "/_session/", description="Path prefix [/_session/]. Where the heartbeat is served."
    )
    warning_lead: fields.Seconds = Field(
        120.0,
        description="Duration [120 seconds]. How long before its end a session is warned about; "
        "at least 20 seconds, less than the idle limit.",
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _notes: tuple[str, ...] = PrivateAttr(())

    def __init__(self, /, **settings: Unpack[Arguments]) -> None:
        self._fill(as_arguments(settings, type(self).model_fields))

    @classmethod
    def load(
        cls,
        config_file: str | os.PathLike[str] | None = None,
        *,
        app_settings: Mapping[str, Any] | None = None,
        framework_defaults: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        **overrides: Unpack[Overrides],
    ) -> Self:
        """Settings from all mouths; the later wins: defaults, `framework_defaults`, the YAML file,
        `app_settings`, the environment, `overrides`.

        Args:
            config_file: YAML file with a `session:` section. None: the one named by
                `OPENCLAW_SESSION__CONFIG_FILE`, then by `app_settings`; else no file.
            app_settings: keys in upper or lower case, durations with their unit in the key.
            framework_defaults: what a framework's own settings say, in the same form.
            environ: variables to read instead of the process's.

        Raises:
            ConfigurationError: one line for each thing that is wrong, in whichever mouth.
            MissingDependency: a file is named and PyYAML is not installed.
        """
        layer = gather(
            cls.model_fields,
            config_file=config_file,
            framework_defaults=framework_defaults or {},
            app_settings=app_settings or {},
            environ=os.environ if environ is None else environ,
            overrides=overrides,
        )
        return cls._of(layer)

    @classmethod
    def for_tests(cls, **overrides: Unpack[Overrides]) -> Self:
        """A random key, a memory store and a cookie that travels over plain http."""
        overrides.setdefault("secret_key", secrets.token_urlsafe(32))
        overrides.setdefault("store", "memory://")
        overrides.setdefault("cookie_secure", False)
        return cls._of(as_arguments(overrides, cls.model_fields))

    @classmethod
    def _of(cls, layer: Layer) -> Self:
        settings = cls.__new__(cls)
        settings._fill(layer)
        return settings

    def _fill(self, layer: Layer) -> None:
        problems = list(layer.problems)
        values = {name: given.value for name, given in layer.given.items()}
        try:
            super().__init__(**values)
        except ValidationError as error:
            found = problems_of(error, layer.given)
        else:
            found = {}
        problems += [line for lines in found.values() for line in lines]
        checked = self if not found else self._without(found, values)
        bad = {*found, *layer.bad}
        if checked is not None:
            problems += [
                f"{message}{layer.where(about)}"
                for about, message in violations(checked)
                if bad.isdisjoint(about)
            ]
        if problems:
            raise failure(problems)
        self._origins = {
            name: layer.given[name].origin if name in layer.given else "default"
            for name in type(self).model_fields
        }
        self._notes = tuple(layer.notes)
        for line in self.warnings:
            _log.warning("%s", line)

    def _without(self, bad: Iterable[str], values: Mapping[str, Any]) -> SessionSettings | None:
        """The rest of the values, so that rules between them are reported in the same breath."""
        stand_in = {"secret_key": secrets.token_urlsafe(32), "store": "memory://"}
        rest = {name: value for name, value in values.items() if name not in bad}
        probe = type(self).__new__(type(self))
        try:
            BaseModel.__init__(probe, **{**stand_in, **rest})
        except ValidationError:
            return None
        return probe

    @field_validator("policies", mode="plain")
    @classmethod
    def _read_policies(cls, value: object, info: ValidationInfo) -> Mapping[str, Policy]:
        return fields.read_policies(
            value, info.data.get("idle_timeout"), info.data.get("absolute_timeout", 28800.0)
        )

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value came from: "default", "argument", "openclaw_config.yaml:12", ..."""
        return MappingProxyType(self._origins)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works and is probably not meant; logged once when the settings are made."""
        return (*self._notes, *advice(self))

    def all_policies(self) -> dict[str, Policy]:
        """The default, the presets and the site's own, by name."""
        # The checks ask as well, before it is known that idle is the shorter one.
        idle = min(self.idle_timeout or self.absolute_timeout, self.absolute_timeout)
        return {"default": Policy(idle, self.absolute_timeout), **PRESETS, **self.policies}

    def rules(self) -> Rules:
        """What the core decides by."""
        count = self.max_sessions_per_user
        return Rules(
            policies=MappingProxyType(self.all_policies()),
            touch_interval=self.touch_interval,
            rotation_interval=self.rotation_interval,
            rotation_grace=self.rotation_grace,
            on_ended=self.on_ended,
            on_store_error=self.on_store_error,
            limit=None if count is None else Limit(count, self.on_limit),
            store_timeout=self.store_timeout,
            identity_key=self.identity_key,
            client_info=self.client_info,
        )

    def cookie(self) -> CookieSpec:
        """Name and attributes of the cookie."""
        host_only = self.cookie_secure and self.cookie_domain is None and self.cookie_path == "/"
        return CookieSpec(
            self.cookie_name or ("__Host-session" if host_only else "session"),
            path=self.cookie_path,
            domain=self.cookie_domain,
            secure=self.cookie_secure,
            samesite=self.cookie_samesite.capitalize(),
            partitioned=self.cookie_partitioned,
        )

    def previous_cookie_specs(self) -> tuple[CookieSpec, ...]:
        """The cookies the site used before, for deleting them."""
        return tuple(previous.spec(self.cookie()) for previous in self.previous_cookies)

    def store_options(self) -> StoreOptions:
        """What the store needs to know."""
        longest = max(policy.absolute for policy in self.all_policies().values())
        return StoreOptions(
            namespace=self.namespace,
            timeout=self.store_timeout,
            ended_retention=self.ended_retention,
            tombstone_retention=self.tombstone_retention,
            not_before_retention=longest + _DAY,
        )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # Only what was set: forty defaults would hide it.
        for name in type(self).model_fields:
            if name in self.model_fields_set:
                value = getattr(self, name)
                yield name, mask_url(value) if name == "store" else value

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:
            _frozen(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        _frozen(name)

    # Fields hold mappings, which have no hash of their own.
    def __hash__(self) -> int:
        return hash((self.namespace, self.cookie()))


def _frozen(name: str) -> NoReturn:
    raise AttributeError(f"settings cannot be changed: make new ones with another {name}")
