"""Real servers for the tests: one shared of each kind, started on first use, and private ones.

A server named by an `OPENCLAW_TEST_..._URL` variable is used as it is. Otherwise a private one is
started from the installed programs, in a temporary folder, and is gone when the tests are.
Without either the test is skipped, and where `CI=true` it fails. Fixtures are in `conftest`.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.server_engines import Engine
from tests.server_guard import Guard
from tests.server_process import ServerProcess


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true"}


class Servers:
    """All servers of one process of a test run.

    Args:
        missing: filled with the names of what was asked for and is not installed.
    """

    def __init__(self, missing: set[str] | None = None) -> None:
        self.missing = set() if missing is None else missing
        self._shared: dict[Engine, ServerProcess] = {}
        self._started: list[ServerProcess] = []
        self._folder: Path | None = None
        self._guard: Guard | None = None

    def url(self, engine: Engine) -> str:
        """Return the URL of the shared server of this kind."""
        given = os.environ.get(engine.variable)
        if given:
            return given
        if engine not in self._shared:
            self._shared[engine] = self.start(engine)
        return self._shared[engine].url

    def start(self, engine: Engine, *options: str) -> ServerProcess:
        """Start a private server, with further command line options if given."""
        self._require(engine)
        folder, guard = self._workshop()
        data = folder / f"{engine.package}-{len(self._started)}"
        _copy(self._pristine(engine, folder), data)
        server = ServerProcess(engine, data, guard, options)
        self._started.append(server)
        server.start()
        return server

    def close(self) -> None:
        """Kill every server and remove every file."""
        for server in self._started:
            server.kill()
        if self._guard is not None:
            self._guard.close()

    def _require(self, engine: Engine) -> None:
        if engine.find() is not None:
            return
        self.missing.add(engine.name)
        reason = f"{engine.name} not found: install {engine.package} or set {engine.variable}"
        if in_ci():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    def _workshop(self) -> tuple[Path, Guard]:
        if self._folder is None or self._guard is None:
            # Root's own TMPDIR may be closed to the accounts that the servers run as.
            place = "/tmp" if os.geteuid() == 0 else None
            self._folder = Path(tempfile.mkdtemp(prefix="openclaw-test-", dir=place))
            self._folder.chmod(0o755)
            self._guard = Guard(self._folder)
        return self._folder, self._guard

    def _pristine(self, engine: Engine, folder: Path) -> Path:
        """Return a folder with a fresh cluster, made once and copied for each server."""
        data = folder / engine.package
        if not data.exists():
            draft = Path(tempfile.mkdtemp(dir=folder))
            if identity := engine.identity():
                shutil.chown(draft, identity["user"], identity["group"])
            engine.make_data(draft)
            draft.rename(data)
        return data


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
