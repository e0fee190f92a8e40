"""The YAML file: the four well-known keys, exact lines in messages, and the traps of YAML 1.1."""

import io
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_middleware.config import SessionSettings
from openclaw_middleware.config_keys import Keys
from openclaw_middleware.config_schema import file_schema
from openclaw_middleware.config_units import DURATIONS, with_units
from openclaw_middleware.errors import ConfigurationError, MissingDependency

KEY = "kJ2pYw0cQ8rTzU5vXn3mBs7dFg1hLa9e"
Load = Callable[..., SessionSettings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str | bytes, **more: Any) -> SessionSettings:
        path = tmp_path / "openclaw_config.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        arguments = {"environ": {}, "secret_key": KEY, "store": "memory://", **more}
        return SessionSettings.load(path, **arguments)

    return load


@pytest.fixture
def refused(load: Load) -> Callable[..., str]:
    def refused(text: str | bytes, **more: Any) -> str:
        with pytest.raises(ConfigurationError) as caught:
            load(text, **more)
        stream = io.StringIO()
        traceback.print_exception(caught.value, file=stream)
        assert "hunter2" not in stream.getvalue()
        return str(caught.value)

    return refused


def test_the_well_known_keys(load: Load) -> None:
    settings = load(
        "session:\n"
        "  idle_timeout_minutes: 30\n"
        "  absolute_timeout_hours: 12\n"
        "  enable_heartbeat: true\n"
        "  heartbeat_interval_seconds: 60\n"
    )
    assert settings.idle_timeout == 1800
    assert settings.absolute_timeout == 43200
    assert settings.enable_heartbeat is True
    assert settings.heartbeat_interval == 60
    assert settings.origins["enable_heartbeat"] == "openclaw_config.yaml:4"


def test_a_whole_file(load: Load) -> None:
    settings = load(
        "%YAML 1.1\n---\n"
        "other: {anything: on, at: 30:00}\n"
        "session:\n"
        f"  secret_key: '{KEY}'\n"
        "  cookie_samesite: none   # a word here, not null\n"
        "  cookie_domain: null\n"
        "  absolute_timeout_days: 1.5\n"
        "  skip_paths:\n    - /static\n    - /health\n"
        "  previous_cookies: [old, {name: older, path: /x}]\n"
        "  policies:\n    admin:\n      idle_timeout_minutes: 5\n      persistent: TRUE\n"
        "  policy_paths: {/admin: admin}\n"
    )
    assert settings.cookie_samesite == "none"
    assert settings.cookie_domain is None
    assert settings.absolute_timeout == 1.5 * 86400
    assert settings.skip_paths == ("/static", "/health")
    assert settings.policies["admin"].persistent
    assert dict(settings.policy_paths) == {"/admin": "admin"}


def test_an_empty_section_is_fine(load: Load) -> None:
    assert load("session:\n").namespace == "openclaw"
    assert load("session: {}\n").namespace == "openclaw"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cookie_secure: on", "cookie_secure: write true or false"),
        ("cookie_secure: No", "cookie_secure: write true or false"),
        ("namespace: off", "namespace: write true or false, or put quotes around a text"),
        ("max_sessions_per_user: 010", "another number than it looks like"),
        ("max_sessions_per_user: 0x10", "another number than it looks like"),
        ("max_sessions_per_user: 1_000", "another number than it looks like"),
        ("max_sessions_per_user: +3", "another number than it looks like"),
        ("idle_timeout_minutes: 30:00", "another number than it looks like"),
        ("idle_timeout_minutes: 30:00.5", "write a plain decimal number"),
        ("idle_timeout_minutes: .inf", "write a plain decimal number"),
        ("idle_timeout_minutes: .nan", "write a plain decimal number"),
        ("idle_timeout_minutes: 1_0.5", "write a plain decimal number"),
        ("idle_timeout_minutes: 30m", "must be a plain number of minutes, not '30m'"),
        ("idle_timeout_minutes: 1e1", "must be a plain number of minutes"),
        ('idle_timeout_minutes: "30"', "must be a plain number of minutes"),
        ("idle_timeout_minutes: true", "must be a plain number of minutes"),
        ("idle_timeout: 30", "needs its unit in the key: idle_timeout_minutes (or _seconds"),
        ("idle_timeout: 30:00", "another number than it looks like"),
        ("namespace: 2026-11-21", "reads this as a date"),
        ("namespace: !!binary aGk=", "put quotes around a text"),
        ("namespace: !!python/name:os.system", "put quotes around a text"),
        ("namespace: !!python/object/apply:os.system [x]", "tags (!...) are not read here"),
        ("skip_paths: !!set {/a}", "tags (!...) are not read here"),
        ("skip_paths: &a [*a]", "skip_paths: refers to itself"),
        ("policies: {no: {}}", "a key must be plain text; put quotes around it"),
        ("policies: {1: {}}", "a key must be plain text"),
        ("? [a]\n  : b", "a key must be plain text"),
        ("<<: {namespace: x}", "a key must be plain text"),
        ("stoer: x", "stoer: unknown setting; did you mean store?"),
        ("secret_key_file: /x", "secret_key_file: unknown setting; did you mean secret_key"),
        ("namespace: [a]", "namespace: must be a valid string, not ['a']"),
        ("cookie_secure:", "cookie_secure: must be a valid boolean, not None"),
    ],
)
def test_a_trap_is_refused_with_its_line(
    line: str, message: str, refused: Callable[..., str]
) -> None:
    text = refused(f"# a comment\nsession:\n  {line}\n")
    assert text.startswith("session settings: openclaw_config.yaml:3: "), text
    assert message in text


def test_a_key_twice_is_refused(refused: Callable[..., str]) -> None:
    text = refused("session:\n  codec: json\n  namespace: a\n  codec: msgpack\n")
    assert "openclaw_config.yaml:4: codec: is there already in line 2" in text
    inner = refused("session:\n  policies:\n    a: {persistent: true, persistent: false}\n")
    assert "openclaw_config.yaml:3: persistent: is there already in line 3" in inner
    assert "openclaw_config.yaml:2: session: is there twice" in refused(
        "session: {}\nsession: {}\n"
    )


def test_several_traps_are_told_at_once(refused: Callable[..., str]) -> None:
    text = refused("session:\n  cookie_secure: on\n  codec: json\n  compress_over: 010\n  x: 1\n")
    assert text.startswith("session settings: 3 problems")
    for line in (2, 4, 5):
        assert f"openclaw_config.yaml:{line}: " in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sesion:\n  codec: json\n", "has no `session:` section; did you mean session: where it"),
        ("other: 1\n", "has no `session:` section"),
        ("", "has no `session:` section"),
        ("[session]\n", "has no `session:` section"),
        ("session: [a]\n", "openclaw_config.yaml:1: session: must hold settings"),
        ("session: yes\n", "session: must hold settings"),
        ("session:\n\tcodec: json\n", "openclaw_config.yaml:2: not valid YAML: found character"),
        ("session: {codec: json\n", "not valid YAML"),
        ("session:\n  secret_key: *hunter2\n", "2: not valid YAML: a text that begins with & *"),
        ("session:\n  secret_key: !hunter2!x y\n", "2: not valid YAML: a text that begins with"),
        ("session:\n  secret_key: %hunter2\n", "openclaw_config.yaml:2: not valid YAML"),
        ("session:\n  secret_key: 'hunter2\n", "not valid YAML"),
        ("--- 1\n--- 2\n", "not valid YAML"),
        (b"session: \x00\n", "characters that YAML does not allow"),
        (b"session: \xff\n", "not UTF-8 text"),
        ("session:\n  secret_key: hunter2\n", "secret_key: is shorter than 32"),
        ("session:\n  secret_key: [hunter2]\n", "secret_key: must be text, not list"),
        ("session:\n  secret_key: on\n", "secret_key: write true or false"),
        ("session:\n  encryption_keys: hunter2\n", "encryption_keys: must be a list"),
        ("session:\n  secrt_key: hunter2\n", "did you mean secret_key?"),
        ("session:\n  store: {password: hunter2}\n", "store: must be a URL"),
    ],
)
def test_a_broken_file_is_told_without_showing_what_it_holds(
    text: str | bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "openclaw_config.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError) as caught:
        SessionSettings.load(path, environ={})
    stream = io.StringIO()
    traceback.print_exception(caught.value, file=stream)
    assert "hunter2" not in stream.getvalue()
    assert message in str(caught.value)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "absent.yaml"
    with pytest.raises(ConfigurationError, match=r"absent\.yaml.*No such file or directory"):
        SessionSettings.load(path)
    with pytest.raises(ConfigurationError, match="Is a directory"):
        SessionSettings.load(tmp_path)


def test_no_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "openclaw_config.yaml").write_text("session:\n  namespace: found\n")
    monkeypatch.chdir(tmp_path)
    settings = SessionSettings.load(environ={}, secret_key=KEY, store="memory://")
    assert settings.namespace == "openclaw"


def test_the_environment_or_the_application_may_name_the_file(tmp_path: Path) -> None:
    for name in ("argument", "environment", "app"):
        (tmp_path / f"{name}.yaml").write_text(f"session:\n  namespace: {name}\n")

    def namespace(*given: str) -> str:
        variable = {"OPENCLAW_SESSION__CONFIG_FILE": str(tmp_path / "environment.yaml")}
        return SessionSettings.load(
            tmp_path / "argument.yaml" if "argument" in given else None,
            environ=variable if "environment" in given else {},
            app_settings={"CONFIG_FILE": tmp_path / "app.yaml"} if "app" in given else {},
            secret_key=KEY,
            store="memory://",
        ).namespace

    assert namespace("argument", "environment", "app") == "argument"
    assert namespace("environment", "app") == "environment"
    assert namespace("app") == "app"


def test_without_pyyaml_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingDependency, match=r"pip install 'openclaw-middleware\[yaml\]'"):
        SessionSettings.load(tmp_path / "c.yaml")


def test_without_a_file_yaml_is_not_imported() -> None:
    code = (
        "import sys; from openclaw_middleware.config import SessionSettings as S;"
        "S.load(environ={}, secret_key='k' * 8 + 'abcdefghijklmnopqrstuvwx', store='memory://');"
        "print('yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# -- the schema ---------------------------------------------------------------------------------


def test_the_schema_spells_every_key_as_a_file_does() -> None:
    section = file_schema()["properties"]["session"]
    assert section["additionalProperties"] is False
    assert set(section["properties"]) == set(with_units(Keys.model_fields))
    for name, schema in section["properties"].items():
        assert schema["description"], name
    for name, unit in DURATIONS.items():
        default = section["properties"][f"{name}_{unit}"]["default"]
        expected = Keys.model_fields[name].default
        if expected is not None:
            assert default * {"seconds": 1, "minutes": 60, "hours": 3600}[unit] == expected
    assert "$ref" not in str(section), "references would point nowhere"


def test_the_schema_knows_two_units_of_one_duration_exclude_each_other() -> None:
    section = file_schema()["properties"]["session"]
    assert {"not": {"required": ["idle_timeout_minutes", "idle_timeout_seconds"]}} in section[
        "allOf"
    ]
