"""Every setting by every mouth, which mouth wins, and what each mouth refuses."""

import itertools
import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from openclaw_middleware.config import SessionSettings
from openclaw_middleware.config_units import DURATIONS
from openclaw_middleware.core.policy import Policy
from openclaw_middleware.errors import ConfigurationError

KEY = "kJ2pYw0cQ8rTzU5vXn3mBs7dFg1hLa9e"
KEY_2 = "Zt4Rk8Wq1Yx6Cv3Nb9Ml2Kj5Hg7Fd0Sa"
KEY_3 = "Qw7Er2Ty9Ui4Op1As6Df3Gh8Jk5Lz0Xc"

# setting -> two (value as a file spells it, the same as a Python argument, what it becomes)
Case = tuple[Any, Any, Any]
SAME: dict[str, tuple[Any, Any]] = {
    "namespace": ("one", "two"),
    "cookie_name": ("one", "two"),
    "cookie_secure": (False, True),
    "cookie_samesite": ("strict", "lax"),
    "cookie_path": ("/one", "/two"),
    "cookie_domain": ("one.example.com", "two.example.com"),
    "cookie_partitioned": (True, False),
    "codec": ("json", "msgpack"),
    "compress_over": (100, 200),
    "compression": ("zstd", "zlib"),
    "max_sessions_per_user": (1, 2),
    "on_limit": ("reject", "end_oldest"),
    "on_store_error": ("anonymous", "unavailable"),
    "on_ended": ("error", "drop"),
    "client_info": ("user_agent", "full"),
    "identity_key": ("_one", "_two"),
    "enable_heartbeat": (True, False),
    "heartbeat_prefix": ("/one/", "/two/"),
    "store": ("memory://", "redis://localhost/1"),
    "policy_paths": ({"/one": "remember"}, {"/two": "nist_aal3"}),
    "login_url": ("/one", "/two"),
}
LISTS: dict[str, tuple[Any, Any]] = {
    "skip_paths": (["/one"], ["/two", "/three"]),
    "passive_paths": (["/one"], ["/two", "/three"]),
    "clear_site_data": (["cache"], ["storage", "cache"]),
    "trusted_proxies": (["10.0.0.0/8"], ["::1/128", "192.0.2.1/32"]),
}
SECRET_LISTS: dict[str, tuple[Any, Any]] = {
    "secret_key_fallbacks": ([KEY_2], [KEY_3, KEY_2]),
    "encryption_keys": (["aa" * 32], ["bb" * 32, "cc" * 32]),
}
SECRETS: dict[str, tuple[str, str]] = {
    "secret_key": (KEY, "Hb6Vc1Xz8Mn3Bv5Qa0Ws7Ed2Rf9Tg4Yh"),
    "user_tag_key": (KEY_2, KEY_3),
}
CASES: dict[str, tuple[Case, Case]] = {
    **{n: ((a, a, a), (b, b, b)) for n, (a, b) in SAME.items()},
    **{n: ((a, a, tuple(a)), (b, b, tuple(b))) for n, (a, b) in LISTS.items()},
    **{n: ((a, a, a), (b, b, b)) for n, (a, b) in SECRETS.items()},
    **{n: ((a, a, a), (b, b, b)) for n, (a, b) in SECRET_LISTS.items()},
    "previous_cookies": (
        (["one"], ["one"], [("one", None)]),
        ([{"name": "two", "domain": "a.example.com"}],) * 2 + ([("two", "a.example.com")],),
    ),
    "policies": (
        ({"a": {"idle_timeout_minutes": 5}}, {"a": Policy(300, 28800)}, {"a": Policy(300, 28800)}),
        ({"a": {"idle_timeout_seconds": 6}}, {"a": Policy(6, 28800)}, {"a": Policy(6, 28800)}),
    ),
}
# Long enough for every rule: one day, and the same in another unit plus an hour.
CASES |= {
    name: (
        (("hours", 24), timedelta(hours=24), 86400.0),
        (("minutes", 1500), 90000, 90000.0),
    )
    for name in ("absolute_timeout", "ended_retention", "tombstone_retention")
}
CASES |= {
    name: ((("seconds", 25), timedelta(seconds=25), 25.0), (("minutes", 0.5), 30, 30.0))
    for name in (
        "touch_interval",
        "rotation_grace",
        "store_timeout",
        "heartbeat_interval",
        "socket_poll_interval",
    )
}
CASES |= {
    "idle_timeout": (
        (("minutes", 15), timedelta(minutes=15), 900.0),
        (("seconds", 600), 600, 600.0),
    ),
    "rotation_interval": ((("hours", 1), timedelta(hours=1), 3600.0), (("minutes", 5), 300, 300.0)),
    "absolute_warning_lead": (
        (("seconds", 60), timedelta(seconds=60), 60.0),
        (("minutes", 2), 120, 120.0),
    ),
    "warning_lead": ((("seconds", 20), timedelta(seconds=20), 20.0), (("minutes", 1), 60, 60.0)),
}

MOUTHS = ("framework", "file", "app", "environment", "argument")


def mouth(name: str, mouth: str, case: Case, tmp_path: Path) -> dict[str, Any]:
    """`load`'s arguments that say this setting by this mouth."""
    written, python, _ = case
    key = name
    if name in DURATIONS:
        unit, written = written
        key = f"{name}_{unit}"
    if mouth == "argument":
        return {name: python}
    if mouth == "environment":
        text = written if isinstance(written, str) else json.dumps(written)
        return {"environ": {f"OPENCLAW_SESSION__{key.upper()}": text}}
    if mouth == "file":
        path = tmp_path / "openclaw_config.yaml"
        path.write_text(f"# settings\nsession:\n  {key}: {json.dumps(written)}\n")
        return {"config_file": path}
    if mouth == "app":
        return {"app_settings": {key.upper(): written}}
    return {"framework_defaults": {key: written}}


def plain(value: Any) -> Any:
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    if isinstance(value, tuple) and value and hasattr(value[0], "get_secret_value"):
        return [item.get_secret_value() for item in value]
    if isinstance(value, tuple) and value and hasattr(value[0], "spec"):
        return [(item.name, item.domain) for item in value]
    return value


def load(name: str, *said: dict[str, Any]) -> SessionSettings:
    arguments: dict[str, Any] = {"environ": {}}
    for item in said:
        arguments |= item
    for required, value in (("secret_key", KEY), ("store", "memory://")):
        if name != required:
            arguments[required] = value
        elif len(said) == 0:
            del arguments[required]
    other = {"secret_key": {"store": "memory://"}, "store": {"secret_key": KEY}}
    return SessionSettings.load(**{**other.get(name, {}), **arguments})


def test_the_table_holds_every_setting() -> None:
    assert set(CASES) == set(SessionSettings.model_fields)


ORIGINS = {
    "framework": "framework settings",
    "file": "openclaw_config.yaml:3",
    "app": "app settings",
    "argument": "argument",
}


@pytest.mark.parametrize("by", MOUTHS)
@pytest.mark.parametrize("name", sorted(CASES))
def test_every_setting_by_every_mouth(name: str, by: str, tmp_path: Path) -> None:
    case = CASES[name][0]
    settings = load(name, mouth(name, by, case, tmp_path))
    assert plain(getattr(settings, name)) == case[2]
    origin = settings.origins[name]
    if by == "environment":
        assert origin.startswith(f"environment OPENCLAW_SESSION__{name.upper()}")
    else:
        assert origin == ORIGINS[by]


@pytest.mark.parametrize(("lower", "higher"), list(itertools.combinations(MOUTHS, 2)))
@pytest.mark.parametrize("name", sorted(CASES))
def test_the_later_mouth_wins(name: str, lower: str, higher: str, tmp_path: Path) -> None:
    first, second = CASES[name]
    for low, high in ((first, second), (second, first)):
        settings = load(
            name, mouth(name, lower, low, tmp_path), mouth(name, higher, high, tmp_path)
        )
        assert plain(getattr(settings, name)) == high[2]
        assert settings.origins[name] != "default"


def test_all_mouths_at_once(tmp_path: Path) -> None:
    path = tmp_path / "openclaw_config.yaml"
    path.write_text(f"session:\n  namespace: file\n  secret_key: {KEY}\n  codec: json\n")
    settings = SessionSettings.load(
        path,
        framework_defaults={"namespace": "framework", "identity_key": "_user_id"},
        app_settings={"namespace": "app", "STORE": "memory://"},
        environ={"OPENCLAW_SESSION__NAMESPACE": "environment", "PATH": "/bin"},
        namespace="argument",
    )
    assert (settings.namespace, settings.codec, settings.identity_key) == (
        "argument", "json", "_user_id",
    )  # fmt: skip
    assert settings.origins["namespace"] == "argument"
    assert settings.origins["codec"] == "openclaw_config.yaml:4"
    assert settings.origins["store"] == "app settings"
    assert settings.origins["cookie_name"] == "default"


def test_null_takes_a_value_back(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("session:\n  max_sessions_per_user: 3\n  rotation_interval_minutes: 5\n")
    settings = SessionSettings.load(
        path,
        environ={
            "OPENCLAW_SESSION__MAX_SESSIONS_PER_USER": "null",
            "OPENCLAW_SESSION__ROTATION_INTERVAL_MINUTES": "null",
        },
        secret_key=KEY,
        store="memory://",
    )
    assert settings.max_sessions_per_user is None
    assert settings.rotation_interval is None


def test_policies_are_laid_over_each_other_limit_by_limit(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "session:\n  policies:\n"
        "    admin: {idle_timeout_minutes: 10, absolute_timeout_hours: 1}\n"
        "    shop: {idle_timeout_minutes: 20}\n"
    )
    settings = SessionSettings.load(
        path,
        app_settings={"POLICIES": {"shop": {"PERSISTENT": True}}},
        environ={
            "OPENCLAW_SESSION__POLICIES__ADMIN__IDLE_TIMEOUT_SECONDS": "90",
            "OPENCLAW_SESSION__POLICIES__ADMIN__PERSISTENT": "yes",
            "OPENCLAW_SESSION__POLICIES__API_V2__ABSOLUTE_TIMEOUT_HOURS": "2.5",
        },
        secret_key=KEY,
        store="memory://",
    )
    assert settings.policies["admin"] == Policy(90, 3600, persistent=True)
    assert settings.policies["shop"] == Policy(1200, 28800, persistent=True)
    assert settings.policies["api_v2"] == Policy(1800, 9000)
    origin = settings.origins["policies"]
    assert "c.yaml:2 + app settings + environment OPENCLAW_SESSION__POLICIES__" in origin


# -- refusals -----------------------------------------------------------------------------------


def refused(**arguments: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        SessionSettings.load(
            **{"environ": {}, "secret_key": KEY, "store": "memory://", **arguments}
        )
    return str(caught.value)


def env(**variables: str) -> dict[str, str]:
    return {f"OPENCLAW_SESSION__{name}": text for name, text in variables.items()}


@pytest.mark.parametrize("name", sorted(DURATIONS))
def test_a_duration_without_unit_names_the_right_key(name: str, tmp_path: Path) -> None:
    usual = f"{name}_{DURATIONS[name]}"
    path = tmp_path / "c.yaml"
    path.write_text(f"session:\n  {name}: 30\n")
    for arguments, key in (
        ({"config_file": path}, usual),
        ({"app_settings": {name: 30}}, usual),
        ({"app_settings": {name.upper(): 30}}, usual.upper()),
        ({"framework_defaults": {name: 30}}, usual),
        ({"environ": env(**{name.upper(): "30"})}, usual.upper()),
    ):
        text = refused(**arguments)
        assert f"needs its unit in the key: {key} (or _" in text


@pytest.mark.parametrize("name", sorted(DURATIONS))
@pytest.mark.parametrize("value", ["30m", "30:00", "30", True, [30], "PT30M"])
def test_a_duration_is_a_plain_number_of_its_unit(name: str, value: Any, tmp_path: Path) -> None:
    key = f"{name}_{DURATIONS[name]}"
    path = tmp_path / "c.yaml"
    path.write_text(f"session:\n  {key}: {json.dumps(value)}\n")
    assert f"c.yaml:2: {key}: must be a plain number of" in refused(config_file=path)
    assert f"app settings: {key.upper()}: must be a plain number of" in refused(
        app_settings={key.upper(): value}
    )
    if value != "30":
        text = value if isinstance(value, str) else json.dumps(value)
        assert f"environment OPENCLAW_SESSION__{key.upper()}: must be a plain number" in refused(
            environ=env(**{key.upper(): text})
        )


def test_a_worded_duration_is_told_as_it_should_be() -> None:
    assert "write idle_timeout_hours: 2" in refused(
        app_settings={"idle_timeout_minutes": "2 hours"}
    )
    assert "needs its unit in the key: idle_timeout_minutes: 30" in refused(
        app_settings={"idle_timeout": "30m"}
    )


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e300, 0, -5])
def test_an_impossible_duration_is_refused(value: float) -> None:
    assert "idle_timeout" in refused(app_settings={"idle_timeout_minutes": value})


def test_a_timedelta_in_a_framework_dict_says_its_own_unit() -> None:
    settings = SessionSettings.load(
        app_settings={"IDLE_TIMEOUT": timedelta(minutes=5)},
        environ={},
        secret_key=KEY,
        store="memory://",
    )
    assert settings.idle_timeout == 300


def test_two_units_of_one_duration_contradict_each_other(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("session:\n  idle_timeout_minutes: 30\n  idle_timeout_seconds: 1800\n")
    assert (
        "c.yaml:3: idle_timeout_seconds contradicts idle_timeout_minutes: both set idle_timeout, "
        "keep one" in refused(config_file=path)
    )
    assert "IDLE_TIMEOUT_HOURS contradicts IDLE_TIMEOUT_MINUTES" in refused(
        app_settings={"IDLE_TIMEOUT_MINUTES": 30, "IDLE_TIMEOUT_HOURS": 1}
    )
    assert "both set idle_timeout" in refused(
        environ=env(IDLE_TIMEOUT_MINUTES="30", IDLE_TIMEOUT_HOURS="1")
    )
    assert "both set store" in refused(app_settings={"store": "memory://", "STORE": "memory://"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"environ": env(COOKE_SECURE="false")},
            "environment OPENCLAW_SESSION__COOKE_SECURE: unknown variable; "
            "did you mean OPENCLAW_SESSION__COOKIE_SECURE?",
        ),
        (
            {"environ": env(IDLE_TIMEOUT_MINUTE="5")},
            "did you mean OPENCLAW_SESSION__IDLE_TIMEOUT_MINUTES?",
        ),
        ({"environ": env(SECRET_KEY_FIL="x")}, "did you mean OPENCLAW_SESSION__SECRET_KEY_FILE?"),
        ({"environ": env(store="x")}, "OPENCLAW_SESSION__store: unknown variable"),
        ({"environ": env(STORE_TIMEOUT_FILE="x")}, "unknown variable"),
        ({"environ": env(POLICIES__ADMIN="5")}, "OPENCLAW_SESSION__POLICIES__ADMIN: unknown"),
        ({"environ": env(POLICIES__A__B__C="5")}, "unknown variable"),
        (
            {"environ": env(POLICIES__ADMIN__IDLE_MINUTES="5")},
            "admin.idle_minutes: unknown key; did you mean idle_timeout_minutes?",
        ),
        ({"environ": env()|{"OPENCLAW_SESSION__": "x"}}, "OPENCLAW_SESSION__: unknown variable"),
        ({"app_settings": {"COOKE_SECURE": False}}, "COOKE_SECURE: unknown setting; did you mean "
         "COOKIE_SECURE?"),
        ({"app_settings": {"cooke_secure": False}}, "did you mean cookie_secure?"),
        ({"app_settings": {"Cookie_Secure": False}}, "did you mean cookie_secure?"),
        ({"app_settings": {7: False}}, "app settings: 7: unknown setting"),
        ({"framework_defaults": {"cooke_secure": False}}, "framework settings: cooke_secure: unk"),
        ({"cooke_secure": False}, "cooke_secure: unknown setting; did you mean cookie_secure?"),
    ],
)  # fmt: skip
def test_an_unknown_key_names_the_nearest(arguments: Any, message: str) -> None:
    assert message in refused(**arguments)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("SECRET_KEY_FALLBACKS", "new,old", 'must be a JSON list: ["one", "two"]'),
        ("SECRET_KEY_FALLBACKS", KEY_2, "must be a JSON list"),
        ("SKIP_PATHS", "/static", "must be a JSON list"),
        ("SKIP_PATHS", '{"/static": 1}', "must be a JSON list"),
        ("SKIP_PATHS", "['/static']", "must be a JSON list"),
        ("POLICY_PATHS", "/admin=remember", "must be a JSON object"),
        ("POLICIES", "admin", "must be a JSON object"),
        ("COOKIE_SECURE", "nope", "must be true or false"),
        ("COOKIE_SECURE", "", "is empty or has spaces around it"),
        ("COOKIE_DOMAIN", "", "is empty or has spaces around it"),
        ("NAMESPACE", " shop", "is empty or has spaces around it"),
        ("MAX_SESSIONS_PER_USER", "three", "must be a plain number"),
        ("MAX_SESSIONS_PER_USER", "1.5", "valid integer"),
        ("MAX_SESSIONS_PER_USER", "0x3", "must be a plain number"),
        ("IDLE_TIMEOUT_MINUTES", "1e3", "must be a plain number"),
        ("IDLE_TIMEOUT_MINUTES", "nan", "must be a plain number"),
        ("ABSOLUTE_TIMEOUT_HOURS", "null", "must be a plain number"),
        ("CODEC", "null", "must be 'msgpack' or 'json', not 'null'"),
        ("POLICIES__ADMIN__PERSISTENT", "2", "must be true or false"),
    ],
)
def test_a_variable_is_read_strictly(name: str, text: str, message: str) -> None:
    got = refused(environ=env(**{name: text}))
    assert f"environment OPENCLAW_SESSION__{name}" in got
    assert message in got


@pytest.mark.parametrize("text", ["true", "True", "1", "yes", "on"])
def test_a_flag_in_the_environment_has_its_usual_spellings(text: str) -> None:
    settings = SessionSettings.for_tests()
    settings = SessionSettings.load(
        environ=env(COOKIE_PARTITIONED=text), secret_key=KEY, store="memory://"
    )
    assert settings.cookie_partitioned is True


def test_policies_by_two_spellings_contradict_each_other() -> None:
    assert "both set policies" in refused(
        environ=env(POLICIES='{"a": {}}', POLICIES__B__PERSISTENT="true")
    )


def test_a_rule_between_settings_says_where_they_came_from(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("session:\n  absolute_timeout_minutes: 20\n")
    assert refused(config_file=path, idle_timeout=1800) == (
        "session settings: idle_timeout (1800 s) is longer than absolute_timeout (1200 s): lower "
        "idle_timeout or raise absolute_timeout (absolute_timeout: c.yaml:2)"
    )


def test_all_mouths_are_complained_of_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("session:\n  stoer: x\n  codec: pickle\n")
    text = refused(
        config_file=path,
        app_settings={"COOKIE_SECURE": "no"},
        environ=env(NAMESPCE="x", IDLE_TIMEOUT="5"),
        cookie_pth="/",
    )
    assert text.startswith("session settings: 6 problems\n")
    for part in (
        "c.yaml:2: stoer: unknown setting; did you mean store?",
        "c.yaml:3: codec: must be 'msgpack' or 'json', not 'pickle'",
        "app settings: cookie_secure: must be a valid boolean, not 'no'",
        "OPENCLAW_SESSION__NAMESPCE: unknown variable",
        "OPENCLAW_SESSION__IDLE_TIMEOUT: needs its unit in the key",
        "cookie_pth: unknown setting; did you mean cookie_path?",
    ):
        assert part in text


def test_a_variable_with_one_underscore_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "openclaw_middleware"):
        settings = SessionSettings.load(
            environ={"OPENCLAW_SESSION_STORE": "x", "OPENCLAW_SESSION_ID": "y", "OPENCLAW_X": "z"},
            secret_key=KEY,
            store="memory://",
        )
    (warning,) = settings.warnings
    assert warning == (
        "environment OPENCLAW_SESSION_STORE is not read: did you mean OPENCLAW_SESSION__STORE?"
    )
    assert caplog.messages == [warning]


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_SESSION__STORE", "memory://")
    monkeypatch.setenv("OPENCLAW_SESSION__SECRET_KEY", KEY)
    assert SessionSettings.load().store == "memory://"


# -- secrets in files ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["secret_key", "user_tag_key", "store"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_secret_may_lie_in_a_file(name: str, end: str, tmp_path: Path) -> None:
    value = "redis://:pw@localhost/0" if name == "store" else KEY_3
    file = tmp_path / "secret"
    file.write_bytes((value + end).encode())
    given = {"secret_key": KEY, "store": "memory://"}
    given.pop(name, None)
    variable = f"OPENCLAW_SESSION__{name.upper()}_FILE"
    settings = SessionSettings.load(environ={variable: str(file)}, **given)
    assert plain(getattr(settings, name)) == value
    assert settings.origins[name] == f"environment {variable}"


@pytest.mark.parametrize("name", ["secret_key_fallbacks", "encryption_keys"])
def test_a_file_of_several_secrets_holds_one_per_line(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"{KEY_2}\n\n{KEY_3}\n")
    settings = SessionSettings.load(
        environ={f"OPENCLAW_SESSION__{name.upper()}_FILE": str(file)},
        secret_key=KEY,
        store="memory://",
    )
    assert plain(getattr(settings, name)) == [KEY_2, KEY_3]


def test_a_secret_file_that_is_no_use(tmp_path: Path) -> None:
    def load(path: Path | str, **more: str) -> str:
        with pytest.raises(ConfigurationError) as caught:
            SessionSettings.load(environ=env(SECRET_KEY_FILE=str(path), **more), store="memory://")
        return str(caught.value)

    assert "No such file or directory" in load(tmp_path / "absent")
    assert "environment OPENCLAW_SESSION__SECRET_KEY_FILE: cannot read" in load(tmp_path)
    file = tmp_path / "secret"
    file.write_text(" \n")
    assert f"the file {str(file)!r} is empty" in load(file)
    file.write_bytes(b"\xff" * 40)
    assert "not UTF-8 text" in load(file)
    file.write_text(f"{KEY}\n{KEY_2}\n")
    assert "must hold one line, not 2" in load(file)
    file.write_text("short\n")
    assert "is shorter than 32 characters" in load(file)
    file.write_text(KEY)
    assert "both set secret_key, keep one" in load(file, SECRET_KEY=KEY)
    assert "is empty or has spaces" in load("")


MARK = "hunter2"


@pytest.mark.parametrize(
    "arguments",
    [
        {"environ": env(SECRET_KEY=MARK)},
        {"environ": env(SECRET_KEY=f" {MARK}")},
        {"environ": env(SECRET_KEY_FALLBACKS=f"{MARK},{MARK}")},
        {"environ": env(SECRET_KEY_FALLBACKS=f'["{MARK}"]')},
        {"environ": env(SECRT_KEY=MARK)},
        {"environ": env(STORE=MARK)},
        {"environ": env(STORE=f"redis://:{MARK}@h/0", CODEC="x")},
        {"app_settings": {"SECRET_KEY": MARK}},
        {"app_settings": {"SECRT_KEY": MARK}},
        {"app_settings": {"secret_key": [MARK], "encryption_keys": MARK}},
        {"framework_defaults": {"secret_key": MARK}},
    ],
)
def test_no_mouth_shows_a_secret(arguments: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SessionSettings.load(**{"environ": {}, **arguments})
    assert MARK not in str(caught.value)
    assert caught.value.__context__ is None
