"""Rules between settings: what contradicts what, and how to mend it. What one setting alone may
hold is in `config_fields`.

A violation names the settings it is about, so that it is kept quiet when one of them is already
known to be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .core.cookies import MAX_COOKIE, CookieSpec
from .core.policy import Policy

if TYPE_CHECKING:
    from .config import SessionSettings

Violation = tuple[tuple[str, ...], str]

# What our longest signed token takes, with room for a longer format.
TOKEN_BYTES = 200
MAX_COOKIE_AGE = 400 * 86400
_PLACEHOLDERS = (
    "changeme", "change-me", "change_me", "django-insecure", "placeholder", "example",
    "your-secret", "your_secret", "secret-key", "secret_key", "password",
)  # fmt: skip


def violations(settings: SessionSettings) -> Iterator[Violation]:
    """Everything that cannot work, or that a browser would refuse."""
    yield from _lifetimes(settings)
    yield from _secrets(settings)
    yield from _cookie(settings)
    yield from _policy_paths(settings)
    yield from _paths(settings)
    yield from _heartbeat(settings)


def advice(settings: SessionSettings) -> Iterator[str]:
    """What works and is probably not meant."""
    key = settings.secret_key.get_secret_value()
    found = next((word for word in _PLACEHOLDERS if word in key.lower()), None)
    if found is not None:
        yield (
            f"secret_key contains {found!r} and looks like a placeholder: make one with "
            "`openclaw-middleware new-key` before anybody relies on it"
        )
    elif len(set(key)) < 8:
        yield (
            "secret_key repeats a few characters and can be guessed: make one with "
            "`openclaw-middleware new-key`"
        )
    if settings.cookie_samesite == "none" and not settings.cookie_partitioned:
        yield (
            "cookie_samesite is none: the cookie is sent from every other site, and browsers that "
            "block third-party cookies drop it; cookie_partitioned may be what you need"
        )


def _lifetimes(s: SessionSettings) -> Iterator[Violation]:
    idle = s.absolute_timeout if s.idle_timeout is None else s.idle_timeout
    if idle > s.absolute_timeout:
        yield (
            ("idle_timeout", "absolute_timeout"),
            f"idle_timeout ({idle:g} s) is longer than absolute_timeout "
            f"({s.absolute_timeout:g} s): lower idle_timeout or raise absolute_timeout",
        )
    if s.touch_interval is not None:
        for name, policy in _own_policies(s):
            if s.touch_interval > policy.idle / 2:
                yield (
                    ("touch_interval", "idle_timeout", "absolute_timeout", "policies"),
                    f"touch_interval ({s.touch_interval:g} s) is longer than half the idle limit "
                    f"of policy {name!r} ({policy.idle:g} s), so active sessions would end: lower "
                    "touch_interval, or leave it out (a tenth of the idle limit)",
                )
    if s.rotation_interval is not None and s.rotation_grace >= s.rotation_interval:
        yield (
            ("rotation_interval", "rotation_grace"),
            f"rotation_grace ({s.rotation_grace:g} s) must be shorter than rotation_interval "
            f"({s.rotation_interval:g} s)",
        )
    for name, policy in s.all_policies().items():
        if policy.persistent and policy.absolute > MAX_COOKIE_AGE:
            yield (
                ("policies",),
                f"policies.{name} lives {policy.absolute / 86400:g} days, but browsers drop a "
                "cookie after 400 days: lower its absolute_timeout to 400 days or less",
            )


def _secrets(s: SessionSettings) -> Iterator[Violation]:
    fallbacks = [key.get_secret_value() for key in s.secret_key_fallbacks]
    both = ("secret_key", "secret_key_fallbacks")
    if s.secret_key.get_secret_value() in fallbacks:
        yield both, "secret_key_fallbacks holds the current secret_key: list former keys only"
    if len(set(fallbacks)) < len(fallbacks):
        yield both[1:], "secret_key_fallbacks holds a key twice: remove one"
    rings = [key.get_secret_value() for key in s.encryption_keys]
    if len(set(rings)) < len(rings):
        yield ("encryption_keys",), "encryption_keys holds a key twice: remove one"


def _cookie(s: SessionSettings) -> Iterator[Violation]:
    cookie = s.cookie()
    if s.cookie_samesite == "none" and not s.cookie_secure:
        yield (
            ("cookie_samesite", "cookie_secure"),
            "cookie_samesite none needs cookie_secure: browsers drop the cookie otherwise; set "
            "cookie_secure to true, or cookie_samesite to lax",
        )
    if s.cookie_partitioned and not s.cookie_secure:
        yield (
            ("cookie_partitioned", "cookie_secure"),
            "cookie_partitioned needs cookie_secure: set cookie_secure to true",
        )
    yield from _prefix(cookie, "cookie_name", ("cookie_name", "cookie_secure"))
    size = len(cookie.set("x" * TOKEN_BYTES, MAX_COOKIE_AGE))
    if size > MAX_COOKIE:
        yield (
            ("cookie_name", "cookie_path", "cookie_domain"),
            f"the Set-Cookie header would take {size} bytes, and browsers drop one over "
            f"{MAX_COOKIE}: shorten cookie_name",
        )
    for previous in s.previous_cookie_specs():
        yield from _prefix(previous, "previous_cookies", ("previous_cookies",))
        if (previous.name, previous.domain, previous.path) == (
            cookie.name, cookie.domain, cookie.path
        ):  # fmt: skip
            yield (
                ("previous_cookies", "cookie_name", "cookie_domain", "cookie_path"),
                f"previous_cookies holds the current cookie {cookie.name!r}: name another, or "
                "give the domain or path it had before",
            )


def _prefix(cookie: CookieSpec, key: str, about: tuple[str, ...]) -> Iterator[Violation]:
    name = cookie.name.lower()  # browsers compare prefixes without case
    if name.startswith("__host-"):
        if cookie.domain is not None or cookie.path != "/":
            yield (
                (*about, "cookie_domain", "cookie_path"),
                f"{key} {cookie.name!r}: browsers drop a __Host- cookie with a Domain or a path "
                "other than /: choose a name without the prefix, or drop the domain and path",
            )
    elif not name.startswith("__secure-"):
        return
    if not cookie.secure:
        yield (
            about,
            f"{key} {cookie.name!r}: browsers drop a {cookie.name.split('-')[0]}- cookie without "
            "Secure: set cookie_secure to true, or choose a name without the prefix",
        )


def _policy_paths(s: SessionSettings) -> Iterator[Violation]:
    known = s.all_policies()
    for path, name in s.policy_paths.items():
        if name not in known:
            yield (
                ("policy_paths", "policies"),
                f"policy_paths: {path} names the policy {name!r}, which does not exist; known are "
                + ", ".join(sorted(known)),
            )
    written: dict[str, str] = {}
    for path in s.policy_paths:
        other = written.setdefault(path.rstrip("/"), path)
        if other != path:
            yield (
                ("policy_paths",),
                f"policy_paths: {other} and {path} are the same prefix: keep one",
            )


def _paths(s: SessionSettings) -> Iterator[Violation]:
    if not s.enable_heartbeat:
        return
    for key, paths, effect in (
        ("skip_paths", s.skip_paths, "it would have no session"),
        ("passive_paths", s.passive_paths, "it would keep nobody signed in"),
    ):
        for path in paths:
            if _covers(path, s.heartbeat_prefix) or _covers(s.heartbeat_prefix, path):
                yield (
                    (key, "heartbeat_prefix", "enable_heartbeat"),
                    f"{key}: {path} overlaps the heartbeat's {s.heartbeat_prefix}, so {effect}: "
                    "choose another path or heartbeat_prefix",
                )


def _heartbeat(s: SessionSettings) -> Iterator[Violation]:
    for key in ("warning_lead", "absolute_warning_lead"):
        if getattr(s, key) < 20:
            yield (
                (key,),
                f"{key} ({getattr(s, key):g} s) leaves too little time to react: WCAG 2.2.1 "
                "asks for at least 20 seconds",
            )
    for name, policy in _own_policies(s):
        about = ("idle_timeout", "absolute_timeout", "policies")
        if s.enable_heartbeat and s.warning_lead >= policy.idle:
            yield (
                ("warning_lead", *about),
                f"warning_lead ({s.warning_lead:g} s) must be shorter than the idle limit of "
                f"policy {name!r} ({policy.idle:g} s): lower warning_lead",
            )
        if s.heartbeat_interval is not None and s.heartbeat_interval > policy.idle / 3:
            yield (
                ("heartbeat_interval", *about),
                f"heartbeat_interval ({s.heartbeat_interval:g} s) must be at most a third of the "
                f"idle limit of policy {name!r} ({policy.idle:g} s), so that two lost beats end "
                f"nobody's session: at most {policy.idle / 3:g} s",
            )


def _own_policies(s: SessionSettings) -> list[tuple[str, Policy]]:
    """The default, what the site named itself, and what its paths ask for; presets that nobody uses
    bind nobody."""
    known = s.all_policies()
    used = {"default", *s.policies, *(each for each in s.policy_paths.values() if each in known)}
    return [(name, policy) for name, policy in known.items() if name in used]


def _covers(prefix: str, path: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{prefix.rstrip('/')}/")
