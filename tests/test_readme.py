"""The README is true: its code runs, its links lead somewhere, its commands exist."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from openclaw_middleware import SessionManager, SessionSettings
from openclaw_middleware.testing import login
from tests.architecture import ROOT

README = (ROOT / "README.md").read_text()
HTTPS = "https://testserver"


def blocks(heading: str) -> list[str]:
    """The Python code below a heading, up to the next one."""
    section = re.split(r"^#+ ", README.partition(f" {heading}\n")[2], flags=re.MULTILINE)[0]
    return re.findall(r"^```python\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def as_the_readme_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and store come from the environment, the database lies in the current folder."""
    monkeypatch.chdir(tmp_path)
    new_key = subprocess.run(
        [sys.executable, "-m", "openclaw_middleware", "new-key"],
        capture_output=True,
        text=True,
        check=True,
    )
    monkeypatch.setenv("OPENCLAW_SESSION__SECRET_KEY", new_key.stdout.strip())
    monkeypatch.setenv("OPENCLAW_SESSION__STORE", "sqlite:///sessions.db")


def run(code: str) -> Any:
    """Execute a block as the module it would be."""
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102  # our own README
    return SimpleNamespace(**names)


def visits(client: Any) -> None:
    """Two visits, a sign-in and a sign-out, on whatever the block has made."""
    assert "1 visits, nobody" in client.get("/").text
    assert "2 visits, nobody" in client.get("/").text
    client.get("/sign-in")
    assert "3 visits, ada" in client.get("/").text
    client.get("/sign-out")
    assert "1 visits, nobody" in client.get("/").text


def test_starlette_and_the_helpers_for_tests() -> None:
    (code,) = blocks("Starlette")
    app = run(code).app
    visits(TestClient(app, base_url=HTTPS))
    *_, helpers = blocks("A session")
    run(helpers).check(TestClient(app, base_url=HTTPS))


def test_fastapi() -> None:
    (code,) = blocks("FastAPI")
    app = run(code).app
    visits(TestClient(app, base_url=HTTPS))
    client = TestClient(app, base_url=HTTPS)
    assert client.delete("/account").status_code == 401
    login(client, "ada")
    assert client.delete("/account").json() == "gone"


def test_flask() -> None:
    (code,) = blocks("Flask")
    app = run(code).app
    client = app.test_client()

    def get(path: str) -> Any:
        return client.get(path, base_url=HTTPS)

    visits(SimpleNamespace(get=get))


def test_asgi_and_wsgi() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # WebTest still imports `cgi`
        from webtest import TestApp
    asgi, wsgi = blocks("Any ASGI or WSGI application")
    client = TestClient(run(asgi).app, base_url=HTTPS)
    assert client.get("/").text == "1 visits, nobody"
    assert client.get("/").text == "2 visits, nobody"
    host = {"wsgi.url_scheme": "https", "HTTP_HOST": "testserver.local:443"}
    browser = TestApp(run(wsgi).app, extra_environ=host)
    assert browser.get("/").text == "1 visits, nobody"
    assert browser.get("/").text == "2 visits, nobody"


DJANGO = """
SECRET_KEY = "0123456789abcdefghijklmnopqrstuvwxyz-readme"
ROOT_URLCONF = "project"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "project.db"}}
ALLOWED_HOSTS = ["testserver"]

from django.http import HttpResponse
from django.urls import path

def home(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(f"{request.session['visits']} visits")

urlpatterns = [path("", home)]
"""

DJANGO_VISIT = """
import django
from django.core.management import call_command
django.setup()
call_command("check", fail_level="WARNING")
call_command("migrate", verbosity=0)
from django.test import Client
client = Client()
print([client.get("/", secure=True).content.decode() for _ in range(3)])
"""


def test_django(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own: a process has one set of Django settings."""
    (code,) = blocks("Django")
    (tmp_path / "project.py").write_text(code + DJANGO)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "project")
    monkeypatch.delenv("OPENCLAW_SESSION__SECRET_KEY")
    monkeypatch.delenv("OPENCLAW_SESSION__STORE")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DJANGO_VISIT], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "['1 visits', '2 visits', '3 visits']" in done.stdout


def test_what_a_session_can() -> None:
    """The names in the overview exist, and the calls mean what the comments say."""
    from openclaw_middleware.core.exchange import Exchange
    from openclaw_middleware.core.request import RequestInfo
    from openclaw_middleware.driver import AsyncDriver

    code, _ = blocks("A session")
    manager = SessionManager(SessionSettings.for_tests())
    runtime = manager.runtime

    async def use() -> None:
        driver: AsyncDriver = runtime.asynchronous
        session = runtime.session(Exchange(runtime.desk, RequestInfo()), asynchronous=True)
        session.login("grace")
        await session.asave()
        session["code"] = 7
        await driver.commit(session._x)
        await run(code).what_it_can(session)

    asyncio.run(use())


def test_every_block_is_used_here() -> None:
    """A block that no test knows could say anything."""
    assert README.count("```python\n") == 8


def test_links_and_pictures_are_there() -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)\)|(?:src|srcset)=\"([^\"]+)\"", README)
    missing = [a or b for a, b in targets if not (ROOT / (a or b)).exists()]
    assert missing == []
    assert targets


def test_make_knows_the_two_commands() -> None:
    for command in ("demo", "test"):
        assert f"$ make {command} " in README
        done = subprocess.run(["make", "-n", command], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_promises_are_all_there() -> None:
    assert re.findall(r"^\| (P\d+) \|", README, flags=re.MULTILINE) == [
        f"P{number}" for number in range(1, 14)
    ]
