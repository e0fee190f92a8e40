"""Every setting: its name, type, default, and what it does. The descriptions are the reference that
documentation, schema and command line print. What the settings do together is not said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from . import config_fields as fields
from .config_policies import PathPolicies, Policies, read_policies
from .core.policy import Policy


class Keys(BaseModel):
    """The settings as declared; made and checked as `SessionSettings`."""

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
        description="Text of at least 32 characters [none]. With it nobody can tell a user id from "
        "a session id by guessing; setting or changing it signs every user out. It is no secret "
        "that ages: changing secret_key leaves it alone.",
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
    policies: Policies = Field(
        default_factory=lambda: MappingProxyType({}),
        description="Named lifetimes [none; remember, nist_aal1, nist_aal2 and nist_aal3 are "
        "always there]: idle_timeout, absolute_timeout, persistent (true or false). A limit left "
        "out is that of the preset of this name, else the site's.",
    )
    policy_paths: PathPolicies = Field(
        default_factory=lambda: MappingProxyType({}),
        description="Path prefix to policy name [none]. Below the prefix somebody signed in must "
        "also be within this policy's limits, or is asked to sign in again; elsewhere the session "
        "goes on. The longest prefix wins, and default asks for nothing.",
    )
    login_url: fields.LoginUrl | None = Field(
        None,
        description="Path of the sign-in page [none; Django has LOGIN_URL]. Who must sign in again "
        "is sent there, with the way back as next; without it the answer is a plain 401.",
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

    clear_site_data: fields.SiteData = Field(
        (),
        description="cache, storage or both [neither]. What the browser is told to forget of this "
        "site when somebody signs out, by Clear-Site-Data; storage takes along what all its pages "
        "keep there.",
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
    socket_poll_interval: fields.Seconds = Field(
        5.0,
        description="Duration [5 seconds]. How often the sessions of open sockets and streams are "
        "looked at, to close them when it ended; twelve times as long where the store announces "
        "(Redis, PostgreSQL, memory), since there it is only a safeguard.",
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
        description="Duration [a sixth of the idle limit]. How often an open page reports; at "
        "most a third of the idle limit.",
    )
    heartbeat_prefix: fields.Folder = Field(
        "/_session/", description="Path prefix [/_session/]. Where the heartbeat is served."
    )
    warning_lead: fields.Seconds = Field(
        120.0,
        description="Duration [120 seconds]. How long before its end a session is warned about; "
        "at least 20 seconds, less than the idle limit.",
    )
    absolute_warning_lead: fields.Seconds = Field(
        300.0,
        description="Duration [5 minutes]. How long before its absolute end, which nothing puts "
        "off, a session is warned about; at least 20 seconds.",
    )

    @field_validator("policies", mode="plain")
    @classmethod
    def _read_policies(cls, value: object, info: ValidationInfo) -> Mapping[str, Policy]:
        return read_policies(
            value, info.data.get("idle_timeout"), info.data.get("absolute_timeout", 28800.0)
        )
