"""The settings model: defaults, what is refused and with which words, masking, what it makes."""

import io
import json
import logging
import pickle
import subprocess
import sys
import traceback
from datetime import timedelta
from typing import Any, get_type_hints

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from openclaw_middleware.config import SessionSettings
from openclaw_middleware.config_arguments import Arguments, Overrides
from openclaw_middleware.config_report import mask_url, shown
from openclaw_middleware.config_units import DURATIONS
from openclaw_middleware.core.contract import Limit
from openclaw_middleware.core.policy import Policy
from openclaw_middleware.errors import ConfigurationError
from openclaw_middleware.stores.memory import MemoryStore

KEY = "kJ2pYw0cQ8rTzU5vXn3mBs7dFg1hLa9e"
OTHER = "Zt4Rk8Wq1Yx6Cv3Nb9Ml2Kj5Hg7Fd0Sa"


def make(**settings: Any) -> SessionSettings:
    return SessionSettings(**{"secret_key": KEY, "store": "memory://", **settings})


def refused(**settings: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        make(**settings)
    return str(caught.value)


# -- defaults and types -------------------------------------------------------------------------

DEFAULTS = {
    "secret_key_fallbacks": (),
    "user_tag_key": None,
    "namespace": "openclaw",
    "idle_timeout": 1800.0,
    "absolute_timeout": 28800.0,
    "touch_interval": None,
    "rotation_interval": None,
    "rotation_grace": 30.0,
    "policies": {},
    "policy_paths": {},
    "login_url": None,
    "cookie_name": None,
    "cookie_secure": True,
    "cookie_samesite": "lax",
    "cookie_path": "/",
    "cookie_domain": None,
    "cookie_partitioned": False,
    "clear_site_data": (),
    "previous_cookies": (),
    "codec": "msgpack",
    "compress_over": None,
    "compression": "zlib",
    "encryption_keys": (),
    "max_sessions_per_user": None,
    "on_limit": "end_oldest",
    "on_store_error": "unavailable",
    "on_ended": "drop",
    "store_timeout": 1.0,
    "ended_retention": 3600.0,
    "tombstone_retention": 86400.0,
    "skip_paths": (),
    "passive_paths": (),
    "socket_poll_interval": 5.0,
    "client_info": "none",
    "trusted_proxies": (),
    "identity_key": None,
    "enable_heartbeat": False,
    "heartbeat_interval": None,
    "heartbeat_prefix": "/_session/",
    "warning_lead": 120.0,
    "absolute_warning_lead": 300.0,
}


def test_the_defaults_are_the_documented_ones() -> None:
    settings = make()
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS
    assert set(SessionSettings.model_fields) == {*DEFAULTS, "secret_key", "store"}


def test_type_checkers_know_exactly_the_models_names() -> None:
    names = set(SessionSettings.model_fields)
    assert set(get_type_hints(Arguments)) == set(get_type_hints(Overrides)) == names
    assert Arguments.__required_keys__ == {"secret_key", "store"}
    assert not Overrides.__required_keys__


def test_every_setting_says_its_default_and_what_it_does() -> None:
    for name, field in SessionSettings.model_fields.items():
        assert field.description is not None, name
        assert "[" in field.description or "required" in field.description, name
        assert len(field.description) > 40, name
    said = {n for n, f in SessionSettings.model_fields.items() if "Duration [" in f.description}
    assert said == set(DURATIONS)


@pytest.mark.parametrize("name", sorted(DURATIONS))
def test_a_duration_is_a_timedelta_or_seconds(name: str) -> None:
    roomy = {"idle_timeout": 600, "touch_interval": 30, "rotation_interval": 60}
    roomy["absolute_timeout"] = 3600
    value = roomy.get(name, 25)
    assert getattr(make(**{name: value}), name) == float(value)
    assert getattr(make(**{name: timedelta(seconds=value)}), name) == float(value)
    for wrong in ("30m", "30", True, [1]):
        assert f"{name}: must be a timedelta or a number of seconds, not" in refused(
            **{name: wrong}
        )
    for wrong in (0, -1, float("nan"), float("inf"), timedelta(0)):
        assert f"{name}: must be more than 0 and finite" in refused(**{name: wrong})


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("secret_key", "short", "is shorter than 32 characters"),
        ("secret_key", "", "is empty or has spaces"),
        ("secret_key", f"{KEY}\n", "has spaces or line ends around it"),
        ("secret_key", 7, "must be text, not int"),
        ("secret_key", None, "must be text, not NoneType"),
        ("secret_key_fallbacks", OTHER, "must be a list, not str"),
        ("secret_key_fallbacks", {OTHER}, "must be a list, not set"),
        ("secret_key_fallbacks", ["short"], "secret_key_fallbacks[0]: is shorter than 32"),
        ("user_tag_key", "short", "is shorter than 32 characters"),
        ("encryption_keys", "abc", "must be a list, not str"),
        ("encryption_keys", [""], "is empty"),
        ("store", "redis", "must be a URL such as sqlite:///sessions.db"),
        ("store", None, "must be a URL or a ready client, not NoneType"),
        ("store", {"url": "x"}, "must be a URL or a ready client, not dict"),
        ("namespace", "Open Claw", "must be 1-32 lower-case letters, digits and _"),
        ("namespace", "1st", "a letter first, not '1st'"),
        ("namespace", "a" * 33, "must be 1-32"),
        ("absolute_timeout", None, "must be a timedelta or a number of seconds, not None"),
        ("cookie_name", "my cookie", "must be an RFC 6265 token, not 'my cookie'"),
        ("cookie_name", "", "must be an RFC 6265 token"),
        ("cookie_name", "a=b", "must be an RFC 6265 token"),
        ("cookie_name", "naïve", "must be an RFC 6265 token"),
        ("cookie_name", "a\n", "must be an RFC 6265 token"),
        ("cookie_secure", "false", "cookie_secure: must be a valid boolean, not 'false'"),
        ("cookie_secure", 0, "must be a valid boolean"),
        ("cookie_samesite", "sloppy", "must be 'lax', 'strict' or 'none', not 'sloppy'"),
        ("cookie_samesite", None, "must be 'lax', 'strict' or 'none', not None"),
        ("cookie_path", "app", "must start with / and hold no spaces or ;"),
        ("cookie_path", "/a;b", "must start with / and hold no spaces or ;"),
        ("cookie_path", "/" + "a" * 1024, "at most 1024 characters"),
        ("cookie_domain", "https://example.com", "must be a host name such as example.com"),
        ("cookie_domain", "example.com:80", "must be a host name"),
        ("cookie_domain", "", "must be a host name"),
        ("previous_cookies", "session", "must be a list, not str"),
        ("previous_cookies", [{"domain": "a.b"}], "previous_cookies[0][name]: is required"),
        ("previous_cookies", [{"name": "a", "pth": "/"}], "[0][pth]: unknown key"),
        ("codec", "pickle", "must be 'msgpack' or 'json', not 'pickle'"),
        ("compress_over", -1, "must be greater than or equal to 0, not -1"),
        ("compress_over", 1.5, "must be a valid integer"),
        ("compression", "gzip", "must be 'zlib' or 'zstd'"),
        ("max_sessions_per_user", 0, "must be greater than or equal to 1, not 0"),
        ("max_sessions_per_user", True, "must be a valid integer"),
        ("on_limit", "ignore", "must be 'end_oldest' or 'reject'"),
        ("on_store_error", "ignore", 'must be "unavailable", "anonymous" or a callable'),
        ("on_ended", "ignore", "must be 'drop' or 'error'"),
        ("skip_paths", "/static", "must be a list, not str"),
        ("skip_paths", ["static"], "skip_paths[0]: must start with /"),
        ("passive_paths", ["poll"], "passive_paths[0]: must start with /"),
        ("client_info", True, "must be 'none', 'user_agent' or 'full'"),
        ("trusted_proxies", ["10.0.0.1/8"], "has host bits set"),
        ("trusted_proxies", ["proxy"], "must hold addresses or networks such as 10.0.0.0/8"),
        ("identity_key", "", "at least 1 character"),
        ("enable_heartbeat", "on", "must be a valid boolean"),
        ("heartbeat_prefix", "_session", "must start with /"),
        ("heartbeat_prefix", "/", "name a folder such as /_session/"),
        ("heartbeat_prefix", "//_session", "without %, ?, #, // or .."),
        ("heartbeat_prefix", "/a/../b", "without %, ?, #, // or .."),
        ("heartbeat_prefix", "/a?b", "without %, ?, #, // or .."),
        ("heartbeat_prefix", "/ä", "name a folder such as /_session/"),
        ("policies", ["admin"], "must map names to policies"),
        ("policies", {"Admin": Policy()}, "'Admin': a name is lower-case letters"),
        ("policies", {"a__b": Policy()}, "a name is lower-case letters"),
        ("policies", {"default": Policy()}, "set idle_timeout and absolute_timeout themselves"),
        ("policies", {"custom": Policy()}, "custom: this name is reserved"),
        ("policies", {"admin": 300}, "admin: must be a Policy or a mapping"),
        ("policies", {"admin": {"idle_timeout": 300}}, "admin.idle_timeout: needs its unit"),
        ("policies", {"admin": {"idle_timeout_minutes": "5"}}, "a plain number of minutes"),
        ("policies", {"admin": {"idle_timeut_minutes": 5}}, "did you mean idle_timeout_minutes?"),
        ("policies", {"admin": {"persistent": "yes"}}, "admin.persistent: must be true or false"),
        ("policies", {"admin": {"absolute_timeout_hours": None}}, "needs an absolute limit"),
        (
            "policies",
            {"admin": {"idle_timeout_minutes": 5, "idle_timeout_seconds": 9}},
            "admin.idle_timeout is given twice",
        ),
        ("policies", {"admin": {"idle_timeout_hours": 9}}, "is longer than absolute_timeout"),
        (
            "policy_paths",
            {"/admin": "admn"},
            "/admin names the policy 'admn', which does not exist",
        ),
        ("policy_paths", {"admin": "remember"}, "must map paths that start with /"),
        ("policy_paths", ["/admin"], "must map path prefixes to policy names"),
        ("policy_paths", {"/%61dmin": "remember"}, "(decoded, without %, ?, #, // or ..)"),
        ("policy_paths", {"/admin?x": "remember"}, "(decoded, without %, ?, #, // or ..)"),
        ("policy_paths", {"//admin": "remember"}, "(decoded, without %, ?, #, // or ..)"),
        ("policy_paths", {"/a/./b": "remember"}, "(decoded, without %, ?, #, // or ..)"),
        ("skip_paths", ["/caf%C3%A9"], "as requests have it (decoded, without %"),
        ("passive_paths", ["/a/.."], "as requests have it (decoded, without %"),
    ],
)
def test_a_value_alone_is_refused_with_the_mend(name: str, wrong: Any, message: str) -> None:
    text = refused(**{name: wrong})
    assert name in text
    assert message in text


# -- rules between settings ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"idle_timeout": 600, "absolute_timeout": 300},
            "idle_timeout (600 s) is longer than absolute_timeout (300 s): lower idle_timeout",
        ),
        ({"touch_interval": 1000}, "touch_interval (1000 s) is longer than half the idle limit"),
        (
            {"touch_interval": 200, "policies": {"quick": Policy(300, 600)}},
            "of policy 'quick' (300 s)",
        ),
        (
            {"rotation_interval": 30, "rotation_grace": 30},
            "rotation_grace (30 s) must be shorter than rotation_interval (30 s)",
        ),
        (
            {"policies": {"keep": Policy(None, timedelta(days=401), persistent=True)}},
            "policies.keep lives 401 days, but browsers drop a cookie after 400 days",
        ),
        ({"secret_key_fallbacks": [KEY]}, "secret_key_fallbacks holds the current secret_key"),
        ({"secret_key_fallbacks": [OTHER, OTHER]}, "secret_key_fallbacks holds a key twice"),
        ({"encryption_keys": ["00" * 32, "00" * 32]}, "encryption_keys holds a key twice"),
        (
            {"cookie_samesite": "none", "cookie_secure": False},
            "cookie_samesite none needs cookie_secure",
        ),
        (
            {"cookie_partitioned": True, "cookie_secure": False},
            "cookie_partitioned needs cookie_secure",
        ),
        (
            {"cookie_name": "__Host-sid", "cookie_domain": "example.com"},
            "browsers drop a __Host- cookie with a Domain or a path other than /",
        ),
        ({"cookie_name": "__host-sid", "cookie_path": "/app"}, "drop a __Host- cookie with a"),
        (
            {"cookie_name": "__Host-sid", "cookie_secure": False},
            "browsers drop a __Host- cookie without Secure: set cookie_secure to true",
        ),
        ({"cookie_name": "__Secure-sid", "cookie_secure": False}, "a __Secure- cookie without"),
        ({"cookie_name": "n" * 3900}, "the Set-Cookie header would take 41"),
        ({"cookie_name": "sid", "previous_cookies": ["sid"]}, "holds the current cookie 'sid'"),
        ({"previous_cookies": ["__Host-session"]}, "holds the current cookie '__Host-session'"),
        (
            {"previous_cookies": [{"name": "__Host-old", "domain": "example.com"}]},
            "previous_cookies '__Host-old': browsers drop a __Host- cookie with a Domain",
        ),
        (
            {"enable_heartbeat": True, "skip_paths": ["/_session"]},
            "skip_paths: /_session overlaps the heartbeat's /_session/",
        ),
        ({"enable_heartbeat": True, "passive_paths": ["/_session/beat"]}, "passive_paths: /_sess"),
        ({"enable_heartbeat": True, "skip_paths": ["/"]}, "skip_paths: / overlaps"),
        ({"warning_lead": 19}, "asks for at least 20 seconds"),
        ({"absolute_warning_lead": 19}, "absolute_warning_lead (19 s) leaves too little time"),
        (
            {"enable_heartbeat": True, "warning_lead": 1800},
            "warning_lead (1800 s) must be shorter than the idle limit of policy 'default'",
        ),
        ({"heartbeat_interval": 601}, "must be at most a third of the idle limit"),
        (
            {"heartbeat_interval": 200, "policies": {"quick": Policy(300, 600)}},
            "of policy 'quick' (300 s), so that two lost beats end nobody's session: at most 100 s",
        ),
    ],
)
def test_what_contradicts_is_refused_with_the_mend(settings: Any, message: str) -> None:
    assert message in refused(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"idle_timeout": 28800},
        {"idle_timeout": None},
        {"touch_interval": 900},
        {"policies": {"keep": Policy(None, timedelta(days=400), persistent=True)}},
        {"policies": {"long": Policy(None, timedelta(days=4000))}},
        {"cookie_name": "__Secure-sid", "cookie_domain": "example.com"},
        {"cookie_name": "__Host-sid"},
        {"cookie_samesite": "none", "cookie_partitioned": True},
        {
            "cookie_name": "sid",
            "previous_cookies": ["__Host-session", {"name": "sid", "path": "/a"}],
        },
        {"skip_paths": ["/_session"]},
        {"skip_paths": ["/", "/a b/", "/.well-known", "/a;b"], "passive_paths": ["/café/..."]},
        {"heartbeat_prefix": "/.well-known/session"},
        {"enable_heartbeat": True, "skip_paths": ["/_sessions", "/static"]},
        {"enable_heartbeat": True, "warning_lead": 20, "heartbeat_interval": 600},
        {"idle_timeout": 60, "absolute_timeout": 120},
        {"store": object()},
        {"on_store_error": lambda error: "anonymous"},
    ],
)
def test_what_works_is_accepted(settings: Any) -> None:
    make(**settings)


def test_everything_is_reported_at_once_in_one_error() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SessionSettings(
            secret_key="abc",
            stoer="memory://",  # type: ignore[call-arg]
            cookie_samesite="none",
            cookie_secure=False,
            max_sessions_per_user=0,
            idle_timeout=90000,
        )
    lines = str(caught.value).splitlines()
    assert lines[0] == "session settings: 6 problems"
    assert len(lines) == 7
    for part in ("stoer", "secret_key", "store: is", "max_sess", "samesite none", "idle_timeout ("):
        assert sum(part in line for line in lines[1:]) == 1, part
    assert isinstance(caught.value, ValueError)
    assert not isinstance(caught.value, ValidationError)
    assert caught.value.__context__ is None


def test_a_rule_keeps_quiet_about_what_is_already_known_to_be_wrong() -> None:
    assert refused(idle_timeout="30m", absolute_timeout=60).count("idle_timeout") == 1
    assert "samesite" not in refused(cookie_secure="no", cookie_samesite="none")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("cookie_secur", "cookie_secure"),
        ("secretkey", "secret_key"),
        ("idle_timout", "idle_timeout"),
        ("max_session_per_user", "max_sessions_per_user"),
    ],
)
def test_an_unknown_argument_names_the_nearest(word: str, meant: str) -> None:
    assert f"{word}: unknown setting; did you mean {meant}?" in refused(**{word: 1})


def test_a_far_fetched_argument_is_refused_without_a_guess() -> None:
    assert refused(zzz=1) == "session settings: zzz: unknown setting"


def test_a_unit_in_a_python_argument_names_the_python_way() -> None:
    text = refused(idle_timeout_minutes=30)
    assert "idle_timeout_minutes: in Python the unit is in the value" in text
    assert "idle_timeout=timedelta(minutes=...)" in text


def test_missing_required_settings_say_how_to_get_them() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SessionSettings()  # type: ignore[call-arg]
    assert "secret_key: is required: make one with `openclaw-middleware new-key`" in str(
        caught.value
    )
    assert "store: is required: a URL such as sqlite:///sessions.db" in str(caught.value)


# -- reading arguments only ---------------------------------------------------------------------


def test_the_constructor_reads_no_environment_and_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("OPENCLAW_SESSION__NAMESPACE", "fromenv")
    monkeypatch.setenv("NAMESPACE", "fromenv")
    (tmp_path / "openclaw_config.yaml").write_text("session:\n  namespace: fromfile\n")
    (tmp_path / ".env").write_text("NAMESPACE=fromdotenv\n")
    monkeypatch.chdir(tmp_path)
    assert make().namespace == "openclaw"
    assert "unknown setting" in refused(_env_file=".env")


def test_settings_cannot_be_changed() -> None:
    settings = make(policies={"admin": {"idle_timeout_minutes": 5}}, policy_paths={"/a": "admin"})
    with pytest.raises(AttributeError, match="settings cannot be changed"):
        settings.idle_timeout = 5
    with pytest.raises(AttributeError, match="settings cannot be changed"):
        del settings.idle_timeout
    for mapping in (settings.policies, settings.policy_paths, settings.origins):
        with pytest.raises(TypeError):
            mapping["x"] = None  # type: ignore[index]
    with pytest.raises(TypeError):
        settings.rules().policies["x"] = Policy()  # type: ignore[index]
    assert isinstance(settings.secret_key_fallbacks, tuple)


def test_what_was_given_may_change_afterwards_without_effect() -> None:
    paths = ["/static"]
    names = {"/admin": "remember"}
    policies = {"admin": {"idle_timeout_minutes": 5}}
    settings = make(skip_paths=paths, policy_paths=names, policies=policies)
    paths.append("/x")
    names["/x"] = "x"
    policies["x"] = {}
    assert settings.skip_paths == ("/static",)
    assert dict(settings.policy_paths) == {"/admin": "remember"}
    assert list(settings.policies) == ["admin"]


def test_settings_are_hashable_and_equal_by_value() -> None:
    assert len({make(), make()}) == 1
    assert make() != make(idle_timeout=60)


def test_settings_fit_into_a_model_of_the_applications_own() -> None:
    class Site(BaseModel):
        session: SessionSettings

    site = Site.model_validate({"session": {"secret_key": KEY, "store": "memory://"}})
    assert site.session.cookie().name == "__Host-session"
    with pytest.raises(ValidationError, match="did you mean store"):
        Site.model_validate({"session": {"secret_key": KEY, "stoer": "memory://"}})


# -- what others are given ----------------------------------------------------------------------


def test_rules_carry_everything_the_core_decides_by() -> None:
    def answer(error: object) -> str:
        return "anonymous"

    rules = make(
        idle_timeout=60,
        absolute_timeout=600,
        touch_interval=7,
        rotation_interval=100,
        rotation_grace=9,
        on_ended="error",
        on_store_error=answer,
        max_sessions_per_user=3,
        on_limit="reject",
        store_timeout=2,
        identity_key="_user_id",
        client_info="full",
        policies={"admin": {"idle_timeout_seconds": 30}},
    ).rules()
    assert rules.policies["default"] == Policy(60, 600)
    assert rules.policies["admin"] == Policy(30, 600)
    assert rules.policies["remember"].persistent
    assert {"nist_aal1", "nist_aal2", "nist_aal3"} <= set(rules.policies)
    assert (rules.touch_interval, rules.rotation_interval, rules.rotation_grace) == (7, 100, 9)
    assert (rules.on_ended, rules.on_store_error) == ("error", answer)
    assert rules.limit == Limit(3, "reject")
    assert (rules.store_timeout, rules.identity_key, rules.client_info) == (2, "_user_id", "full")
    assert make().rules().limit is None
    assert make(idle_timeout=None).rules().policies["default"] == Policy(None, 28800)


def test_a_policy_in_part_takes_the_rest_from_its_preset_or_from_the_site() -> None:
    policies = (
        make(
            absolute_timeout=7200,
            policies={
                "remember": {"absolute_timeout_days": 30},
                "admin": {"idle_timeout_minutes": 5},
                "open": {"idle_timeout_minutes": None},
                "whole": Policy(10, 20),
                "delta": {"idle_timeout": timedelta(seconds=5)},
            },
        )
        .rules()
        .policies
    )
    assert policies["remember"] == Policy(14 * 86400, 30 * 86400, persistent=True)
    assert policies["admin"] == Policy(300, 7200)
    assert policies["open"] == Policy(None, 7200)
    assert policies["whole"] == Policy(10, 20)
    assert policies["delta"] == Policy(5, 7200)


@pytest.mark.parametrize(
    ("settings", "name", "tail"),
    [
        ({}, "__Host-session", "; HttpOnly; Path=/; SameSite=Lax; Secure"),
        ({"cookie_secure": False}, "session", "; HttpOnly; Path=/; SameSite=Lax"),
        ({"cookie_path": "/app"}, "session", "; HttpOnly; Path=/app; SameSite=Lax; Secure"),
        (
            {"cookie_domain": ".Example.com", "cookie_samesite": "Strict"},
            "session",
            "; HttpOnly; Path=/; SameSite=Strict; Domain=example.com; Secure",
        ),
        (
            {"cookie_name": "sid", "cookie_samesite": "none", "cookie_partitioned": True},
            "sid",
            "; HttpOnly; Path=/; SameSite=None; Secure; Partitioned",
        ),
    ],
)
def test_the_cookie_is_named_and_worded(settings: Any, name: str, tail: str) -> None:
    cookie = make(**settings).cookie()
    assert (cookie.name, cookie.tail) == (name, tail)


def test_previous_cookies_repeat_what_they_do_not_say() -> None:
    specs = make(
        cookie_name="sid",
        cookie_domain="example.com",
        cookie_path="/app",
        previous_cookies=[
            "old",
            {"name": "older", "domain": None},
            {"name": "oldest", "domain": "b.example.com", "path": "/"},
        ],
    ).previous_cookie_specs()
    assert [(spec.name, spec.domain, spec.path) for spec in specs] == [
        ("old", "example.com", "/app"),
        ("older", None, "/app"),
        ("oldest", "b.example.com", "/"),
    ]
    assert all(spec.secure for spec in specs)


def test_a_prefixed_previous_cookie_is_deleted_with_secure() -> None:
    (spec,) = make(cookie_secure=False, previous_cookies=["__Host-session"]).previous_cookie_specs()
    assert spec.delete().endswith("; Secure")


def test_store_options_outlive_the_longest_session() -> None:
    options = make(namespace="shop", store_timeout=2, ended_retention=5).store_options()
    assert (options.namespace, options.timeout, options.ended_retention) == ("shop", 2, 5)
    assert options.tombstone_retention == 86400
    assert options.not_before_retention == 91 * 86400
    long = make(policies={"long": Policy(None, timedelta(days=1000))}).store_options()
    assert long.not_before_retention == 1001 * 86400


def test_settings_for_tests_need_nothing() -> None:
    first, second = SessionSettings.for_tests(), SessionSettings.for_tests(namespace="other")
    assert first.secret_key != second.secret_key
    assert (first.store, first.cookie().name, second.namespace) == ("memory://", "session", "other")
    assert SessionSettings.for_tests(cookie_secure=True).cookie().secure
    with pytest.raises(ConfigurationError, match="did you mean namespace"):
        SessionSettings.for_tests(namespce="x")  # type: ignore[call-arg]


def test_origins_tell_arguments_from_defaults() -> None:
    origins = make(idle_timeout=60).origins
    assert origins["idle_timeout"] == origins["store"] == "argument"
    assert origins["namespace"] == "default"
    assert set(origins) == set(SessionSettings.model_fields)


# -- secrets ------------------------------------------------------------------------------------

MARK = "hunter2"
SECRET = f"{MARK}-{KEY}"


def test_secrets_are_shown_nowhere() -> None:
    settings = make(
        secret_key=SECRET,
        secret_key_fallbacks=[f"{SECRET}-old"],
        user_tag_key=f"{SECRET}-tag",
        encryption_keys=[f"{SECRET}-enc"],
        store=f"redis://user:{MARK}@localhost/0",
    )
    for text in (repr(settings), str(settings), f"{settings}", json.dumps(shown(settings))):
        assert MARK not in text
        assert "localhost" in text
    assert settings.secret_key.get_secret_value() == SECRET
    assert settings.store == f"redis://user:{MARK}@localhost/0"


@pytest.mark.parametrize(
    "settings",
    [
        {"secret_key": MARK},
        {"secret_key": f" {SECRET}"},
        {"secret_key": [SECRET]},
        {"secret_key_fallbacks": MARK},
        {"secret_key_fallbacks": [MARK, 7]},
        {"secret_key": SECRET, "secret_key_fallbacks": [SECRET]},
        {"user_tag_key": MARK},
        {"encryption_keys": MARK},
        {"encryption_keys": [f"{MARK} "]},
        {"encryption_keys": [MARK, MARK]},
        {"secretkey": SECRET},
        {"store": MARK},
        {"store": {"password": MARK}},
        {"store": f"redis://user:{MARK}@localhost/0", "idle_timeout": -1},
    ],
)
def test_an_error_shows_no_secret_not_even_in_its_traceback(settings: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(**settings)
    stream = io.StringIO()
    traceback.print_exception(caught.value, file=stream)
    assert MARK not in stream.getvalue()
    assert MARK not in repr(caught.value)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://localhost/0", "redis://localhost/0"),
        ("redis://:hunter2@localhost/0", "redis://:**********@localhost/0"),
        ("postgresql://app:hun@ter2@db:5432/x", "postgresql://app:**********@db:5432/x"),
        ("postgresql://app:hun/ter2@db/x", "postgresql://app:**********@db/x"),
        (
            "mysql://db/x?user=a&password=hunter2&ssl=1",
            "mysql://db/x?user=a&password=**********&ssl=1",
        ),
        ("sqlite:///sessions.db", "sqlite:///sessions.db"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
        ("django:default", "django:default"),
    ],
)
def test_the_password_of_a_url_is_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_a_ready_store_is_shown_by_its_type() -> None:
    store = MemoryStore(make().store_options())
    assert "<MemoryStore>" in repr(make(store=store))
    assert make(store=store).store is store


def test_secrets_may_be_bytes_or_secret_strings() -> None:
    assert make(secret_key=KEY.encode()).secret_key == SecretStr(KEY)
    assert make(secret_key=SecretStr(KEY)).secret_key == SecretStr(KEY)
    raw = bytes(range(0x80, 0xA0))
    assert make(secret_key=raw).secret_key == SecretStr(raw.hex())
    ring = make(encryption_keys=[b"a" * 32]).encryption_keys
    assert bytes.fromhex(ring[0].get_secret_value()) == b"a" * 32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"secret_key": "changeme" * 4}, "contains 'changeme' and looks like a placeholder"),
        ({"secret_key": f"django-insecure-{KEY}"}, "looks like a placeholder"),
        ({"secret_key": "ab" * 20}, "secret_key repeats a few characters"),
        ({"cookie_samesite": "none"}, "cookie_samesite is none"),
    ],
)
def test_what_is_probably_not_meant_is_warned_of(
    settings: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "openclaw_middleware"):
        found = make(**settings).warnings
    assert any(message in line for line in found)
    assert [record.getMessage() for record in caplog.records] == list(found)


def test_sound_settings_are_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    made = make(secret_key_fallbacks=[OTHER])
    assert made.warnings == SessionSettings.for_tests().warnings == ()
    assert not caplog.records


def test_a_configuration_error_survives_pickling() -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(secret_key="x")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


def test_the_settings_import_no_yaml_and_no_framework() -> None:
    code = (
        "import sys, openclaw_middleware.config, openclaw_middleware.cli;"
        "print([m for m in ('yaml','django','flask','starlette','sqlalchemy','redis',"
        "'cryptography') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
