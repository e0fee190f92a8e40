"""The example project: its own tests on several databases, and its server across a restart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

ROOT = Path(__file__).parents[3]
SITE = ROOT / "examples" / "django_site"


# A busy machine may be late, and each password is hashed only so that it can be checked.
UNHURRIED = {
    "DJANGO_SETTINGS_MODULE": "tests.adapters.django.example_settings",
    "OPENCLAW_SESSION__STORE_TIMEOUT_SECONDS": "30",
}


def its_tests(*options: str, database: str) -> None:
    assert "OK" in manage("test", *options, DATABASE=database, **UNHURRIED)


def manage(*arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "manage.py", *arguments],
        cwd=SITE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "notes.settings"}
        | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def sqlite(name: str, **options: Any) -> str:
    return json.dumps({"ENGINE": "django.db.backends.sqlite3", "NAME": name, **options})


def test_its_tests_on_sqlite_in_memory() -> None:
    its_tests(database=sqlite(":memory:"))


def test_its_tests_on_sqlite_in_a_file(tmp_path: Path) -> None:
    database = sqlite(str(tmp_path / "a.db"), TEST={"NAME": str(tmp_path / "test.db")})
    its_tests(database=database)


@pytest.mark.parametrize("parallel", [False, True], ids=["alone", "parallel"])
def test_its_tests_on_postgresql(fresh_postgres_url: str, parallel: bool) -> None:
    url = make_url(fresh_postgres_url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.database,
        "USER": url.username or "",
        "PASSWORD": url.password or "",
        "HOST": url.host or url.query.get("host", ""),
        "PORT": str(url.port or ""),
        "TEST": {"NAME": f"test_{url.database}"},
    }
    options = ["--parallel", "2"] if parallel else []
    its_tests(*options, database=json.dumps(database))


def test_its_checks_are_clean() -> None:
    said = manage("check", "--deploy", "--fail-level", "ERROR", DATABASE=sqlite(":memory:"))
    assert "openclaw.E" not in said
    assert "openclaw.W" not in said
    assert "openclaw.I002" in said


VISIT = """
import django
django.setup()
from django.test import Client
from django.contrib.auth.models import User
import sys
client = Client()
if sys.argv[1] == "in":
    User.objects.create_user("ada", password="pw")
    client.post("/login", {"username": "ada", "password": "pw"})
    client.post("/", {"note": "milk"})
    print(client.cookies["__Host-notes"].value)
else:
    client.cookies["__Host-notes"] = sys.argv[2]
    print(client.get("/").content.decode())
"""


def test_a_sign_in_outlives_the_process(tmp_path: Path) -> None:
    database = sqlite(str(tmp_path / "notes.db"))
    manage("migrate", "--verbosity", "0", DATABASE=database)
    variables = {"DATABASE": database, "PYTHONPATH": f"{ROOT}{os.pathsep}{SITE}"}
    variables["DJANGO_SETTINGS_MODULE"] = "notes.settings"

    def visit(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", VISIT, *arguments],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()

    token = visit("in")
    assert "milk" in visit("back", token)
