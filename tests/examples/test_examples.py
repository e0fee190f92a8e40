"""The examples run as their first lines say, and their authors' tests pass."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.architecture import ROOT
from tests.examples.served import free_port

NAMES = ("starlette_app", "fastapi_app", "spa_app")
ONE_THING = {"starlette_app": "/devices", "fastapi_app": "/devices", "spa_app": "/note"}
"""What only somebody signed in gets."""
FIRST_PAGE = {"starlette_app": "/cart", "fastapi_app": "/me", "spa_app": "/keys"}


@pytest.mark.parametrize("name", NAMES)
def test_its_authors_tests_pass(name: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", f"examples/{name}.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert f"pytest examples/{name}.py" in (ROOT / "examples" / f"{name}.py").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_it_serves(name: str, tmp_path: Path) -> None:
    """By the command in its first lines, with a key and a store from the environment."""
    source = (ROOT / "examples" / f"{name}.py").read_text()
    assert f"uvicorn --factory examples.{name}:create_app" in source
    port = free_port()
    command = [sys.executable, "-W", "error", "-m", "uvicorn", "--factory"]
    server = subprocess.Popen(
        [*command, f"examples.{name}:create_app", "--port", str(port)],
        cwd=ROOT,
        env={
            **os.environ,
            "OPENCLAW_SESSION__SECRET_KEY": "0123456789abcdef0123456789ABCDEF",
            "OPENCLAW_SESSION__STORE": f"sqlite:///{tmp_path / 'sessions.db'}",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        said = ""
        while "Uvicorn running" not in said:
            line = server.stderr.readline()
            assert line, said
            said += line
        url = f"http://127.0.0.1:{port}"
        credentials = {"name": "ada", "password": "open sesame"}
        answer = httpx2.post(f"{url}/sign-in", json=credentials)
        cookie = answer.headers["set-cookie"].partition(";")[0]
        private = httpx2.get(url + ONE_THING[name], headers={"cookie": cookie})
        assert (private.status_code, len(private.json())) == (200, 1)
        assert httpx2.get(f"{url}{FIRST_PAGE[name]}").status_code == 200
    finally:
        server.terminate()
        server.communicate(timeout=20)
    assert "Traceback" not in said
