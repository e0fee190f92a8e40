"""The Flask example: its author's tests pass, and it runs as its first line says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

from examples.test_flask_app import *  # noqa: F403  # collected here as well
from tests.architecture import ROOT


def test_it_runs(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "flask_app.py", tmp_path)
    process = subprocess.Popen(
        [sys.executable, "flask_app.py"],
        cwd=tmp_path,
        env={**os.environ, "PORT": "0", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if "Running on" in line)
        url = line.split("Running on ")[1].strip()
        with urllib.request.urlopen(url, timeout=10) as page:  # noqa: S310  # our own server
            assert "any name" in page.read().decode()
            assert page.headers["Vary"] == "Cookie"
            assert page.headers["Set-Cookie"] is None
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()
