"""The command line: what it prints and where, its exit codes, and that it never shows a secret."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openclaw_middleware.__main__ import main
from openclaw_middleware.config import SessionSettings
from openclaw_middleware.config_units import DURATIONS
from openclaw_middleware.runtime import Runtime

MARK = "hunter2"
KEY = f"{MARK}-kJ2pYw0cQ8rTzU5vXn3mBs7dFg1hLa9e"
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("OPENCLAW_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_SESSION__SECRET_KEY", KEY)
    monkeypatch.setenv("OPENCLAW_SESSION__STORE", "memory://")


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "openclaw_middleware", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[1]),
            **environ,
        },
    )


def test_new_key_prints_a_fresh_secret_that_is_accepted(capsys: Output) -> None:
    assert main(["new-key"]) == main(["new-key"]) == 0
    first, second = capsys.readouterr().out.split()
    assert first != second
    assert len(first) == 43
    assert SessionSettings(secret_key=first, store="memory://").warnings == ()


@pytest.mark.usefixtures("configured")
def test_show_prints_each_value_and_where_it_came_from(
    capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.yaml").write_text("session:\n  idle_timeout_minutes: 15\n  skip_paths: [/s]\n")
    monkeypatch.setenv("OPENCLAW_SESSION__STORE", f"redis://app:{MARK}@localhost/0")
    assert main(["config", "show", "--config", "my.yaml"]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines()}
    assert set(lines) == set(SessionSettings.model_fields)
    assert lines["idle_timeout"] == "900 s my.yaml:2"
    assert lines["skip_paths"] == '["/s"] my.yaml:3'
    assert lines["secret_key"] == "********** environment OPENCLAW_SESSION__SECRET_KEY"
    assert lines["store"].startswith("redis://app:**********@localhost/0 environment")
    assert lines["cookie_name"] == "__Host-session default, computed"
    assert lines["touch_interval"] == "90 s default, computed"
    assert lines["user_tag_key"] == "- default"
    assert lines["cookie_secure"] == "true default"
    assert MARK not in out


@pytest.mark.usefixtures("configured")
def test_show_as_json(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_SESSION__POLICIES__ADMIN__IDLE_TIMEOUT_MINUTES", "5")
    monkeypatch.setenv("OPENCLAW_SESSION__PREVIOUS_COOKIES", '["old"]')
    monkeypatch.setenv("OPENCLAW_SESSION__ENCRYPTION_KEYS", json.dumps(["ab" * 32]))
    assert main(["config", "show", "--json"]) == 0
    out = capsys.readouterr().out
    table = json.loads(out)
    assert set(table) == set(SessionSettings.model_fields)
    assert table["idle_timeout"] == {"value": 1800.0, "origin": "default", "unit": "seconds"}
    assert {name for name in table if "unit" in table[name]} == set(DURATIONS)
    assert table["policies"]["value"]["admin"]["idle_timeout"] == 300
    assert table["encryption_keys"]["value"] == ["**********"]
    assert table["secret_key"]["value"] == "**********"
    assert MARK not in out
    assert "abab" not in out


@pytest.mark.usefixtures("configured")
def test_check_says_ok(capsys: Output) -> None:
    assert main(["config", "check"]) == 0
    assert capsys.readouterr() == ("ok\n", "")


def test_check_says_what_is_wrong(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_SESSION__SECRET_KEY", MARK)
    monkeypatch.setenv("OPENCLAW_SESSION__IDLE_TIMEOUT", "30m")
    monkeypatch.setenv("OPENCLAW_SESSION__STOER", f"redis://:{MARK}@h")
    assert main(["config", "check"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("openclaw-middleware: session settings: 4 problems\n")
    for part in ("STOER: unknown variable", "IDLE_TIMEOUT_MINUTES: 30", "shorter", "store: is req"):
        assert part in err
    assert MARK not in err


def test_check_warns_once_and_is_content(
    capsys: Output, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done = run(
        "config",
        "check",
        OPENCLAW_SESSION__SECRET_KEY="changeme" * 5,
        OPENCLAW_SESSION__STORE="memory://",
        OPENCLAW_SESSION_CODEC="json",
    )
    assert (done.returncode, done.stdout) == (0, "ok\n")
    first, second = done.stderr.splitlines()
    assert first.startswith("warning: environment OPENCLAW_SESSION_CODEC is not read")
    assert second.startswith("warning: secret_key contains 'changeme'")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"STORE": "reddis://localhost"},
            "store: store URL: unknown scheme 'reddis'; did you mean",
        ),
        ({"STORE": "memory://?max_entries=0"}, "max_entries must be a positive whole number"),
        ({"ENCRYPTION_KEYS": f'["{MARK}"]'}, "encryption_keys"),
    ],
)
@pytest.mark.usefixtures("configured")
def test_check_makes_the_parts_without_connecting(
    variables: dict[str, str], message: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"OPENCLAW_SESSION__{name}", value)
    assert main(["config", "check"]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert MARK not in err


@pytest.mark.usefixtures("configured")
def test_check_leaves_the_projects_own_database_to_its_framework(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCLAW_SESSION__STORE", "django:default")
    assert main(["config", "check"]) == 0


def test_schema_is_json(capsys: Output) -> None:
    assert main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert "idle_timeout_minutes" in schema["properties"]["session"]["properties"]


def test_tables_create_needs_no_secret(capsys: Output) -> None:
    assert main(["tables", "create", "--store", "memory://"]) == 0
    assert capsys.readouterr() == ("ok: memory:// is ready\n", "")


def test_tables_create_takes_the_store_from_the_settings(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["tables", "create"]) == 1
    err = capsys.readouterr().err
    assert "store: is required" in err
    assert "secret_key" not in err
    monkeypatch.setenv("OPENCLAW_SESSION__STORE", "memory://")
    assert main(["tables", "create"]) == 0


def test_tables_create_masks_the_password(capsys: Output) -> None:
    assert main(["tables", "create", "--store", f"reddis://app:{MARK}@localhost"]) == 1
    assert main(["tables", "create", "--store", f"memory://app:{MARK}@localhost"]) == 0
    out, err = capsys.readouterr()
    assert "unknown scheme 'reddis'" in err
    assert "memory://app:**********@localhost is ready" in out
    assert MARK not in out + err


@pytest.mark.parametrize(
    "arguments", [[], ["config"], ["tables"], ["nope"], ["new-key", "--nope"], ["config", "nope"]]
)
def test_a_wrong_command_is_a_usage_error(arguments: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: openclaw-middleware")


def test_help_and_version(capsys: Output) -> None:
    for arguments in (["--help"], ["config", "show", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "new-key" in out
    assert "openclaw-middleware " in out.splitlines()[-1]


# -- as a program -------------------------------------------------------------------------------


def test_the_program_shows_no_traceback_for_a_users_mistake(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(f"session:\n  secret_key: '{MARK}\n")
    for arguments in (
        ["config", "check"],
        ["config", "show", "--config", str(tmp_path / "absent.yaml")],
        ["config", "check", "--config", str(broken)],
        ["tables", "create", "--store", "nonsense"],
    ):
        done = run(*arguments)
        assert done.returncode == 1, done
        assert done.stdout == ""
        assert done.stderr.startswith("openclaw-middleware: ")
        assert "Traceback" not in done.stderr
        assert MARK not in done.stderr


def test_the_program_ends_quietly_when_its_reader_does() -> None:
    environ = {"OPENCLAW_SESSION__SECRET_KEY": KEY, "OPENCLAW_SESSION__STORE": "memory://"}
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m openclaw_middleware config schema | true"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1]), **environ},
    )
    assert done.stderr == ""


def test_the_program_runs() -> None:
    done = run("new-key")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.strip()) == 43
    assert run("--nope").returncode == 2


# -- sessions in a store ------------------------------------------------------------------------


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, str, str]:
    """Two sessions of ada and one of bob, in an SQLite file the settings name; their ids."""
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("OPENCLAW_SESSION__SECRET_KEY", KEY)
    monkeypatch.setenv("OPENCLAW_SESSION__STORE", f"sqlite:///{tmp_path}/sessions.db")
    runtime = Runtime(SessionSettings.load())
    ids = []
    for user in ("ada", "ada", "bob"):
        exchange = runtime.exchange("", "/", "POST", lambda name: None)
        assert exchange is not None
        session = runtime.session(exchange, blocking=True)
        session.login(user)
        session["note"] = MARK
        runtime.blocking.commit(exchange)
        ids.append(str(session.id))
    runtime.blocking.store.close()
    return ids[0], ids[1], ids[2]


def listed(capsys: Output, user: str) -> set[str]:
    assert main(["sessions", user, "--json"]) == 0
    out = capsys.readouterr().out
    assert MARK not in out
    return {info["id"] for info in json.loads(out)}


def test_sessions_are_listed_by_user(capsys: Output, signed_in: tuple[str, str, str]) -> None:
    first, second, other = signed_in
    assert listed(capsys, "ada") == {first, second}
    assert listed(capsys, "bob") == {other}
    assert listed(capsys, "nobody") == set()
    assert main(["sessions", "ada"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2
    assert f"{first}  active 20" in out
    assert MARK not in out


def test_one_session_is_revoked(capsys: Output, signed_in: tuple[str, str, str]) -> None:
    first, second, other = signed_in
    assert main(["revoke", "--id", first]) == 0
    assert capsys.readouterr().out == "ended 1\n"
    assert listed(capsys, "ada") == {second}
    assert main(["revoke", "--id", first]) == 1
    assert main(["revoke", "--id", other, "--user", "ada"]) == 1
    assert capsys.readouterr().out == "ended 0: no such live session\n" * 2
    assert listed(capsys, "bob") == {other}


def test_a_user_is_revoked(capsys: Output, signed_in: tuple[str, str, str]) -> None:
    assert main(["revoke", "--user", "ada"]) == 0
    assert capsys.readouterr().out == "ended 2\n"
    assert listed(capsys, "ada") == set()
    assert listed(capsys, "bob") == {signed_in[2]}


def test_revoke_must_be_told_whom(capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["revoke"])
    assert caught.value.code == 2
    assert "one of --user and --id is required" in capsys.readouterr().err


def test_purge_removes_what_is_over_its_retention(
    capsys: Output, monkeypatch: pytest.MonkeyPatch, signed_in: tuple[str, str, str]
) -> None:
    assert main(["purge"]) == 0
    assert capsys.readouterr().out.startswith("removed 0 from sqlite:///")
    monkeypatch.setenv("OPENCLAW_SESSION__TOMBSTONE_RETENTION_SECONDS", "0.01")
    assert main(["revoke", "--id", signed_in[0]]) == 0
    time.sleep(0.05)
    assert main(["purge"]) == 0
    assert "removed 1 from sqlite:///" in capsys.readouterr().out


def test_tables_are_created_in_a_database(capsys: Output, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    for _ in range(2):
        assert main(["tables", "create", "--store", f"sqlite:///{tmp_path}/new.db"]) == 0
    assert "new.db is ready" in capsys.readouterr().out
    assert (tmp_path / "new.db").stat().st_size > 0


def test_a_server_that_is_down_is_one_message(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("redis")
    monkeypatch.setenv("OPENCLAW_SESSION__SECRET_KEY", KEY)
    monkeypatch.setenv("OPENCLAW_SESSION__STORE", f"redis://:{MARK}@127.0.0.1:1/0")
    assert main(["config", "check"]) == 0
    assert main(["sessions", "ada"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("openclaw-middleware: store 'redis' failed")
    assert MARK not in err
