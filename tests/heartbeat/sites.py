"""A site in a process of its own, as a test holds it: its address, its time, its log, its end.

`Site(kind, folder)` serves `site_pages` in one of the frameworks `KINDS`; sessions lie in an SQLite
file of the folder, so they outlive a crash of the server. Use it as a context manager. Everything
a test orders has happened when the call returns. Nothing in here knows a browser or a proxy.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.architecture import ROOT
from tests.server_process import free_port

KINDS = ("starlette", "flask", "django")
PREFIX = "/_session/"


class Site:
    """One server process.

    Args:
        kind: one of `KINDS`.
        folder: where its SQLite file is kept.
        settings: of the sessions, in seconds; `policies` as {"name": [idle, absolute]}. Default:
            the package's own (30 min idle, 8 h absolute, a warning 2 min before).

    Attributes:
        port: on 127.0.0.1, the same after a restart.
    """

    def __init__(self, kind: str, folder: Path, **settings: Any) -> None:
        self.kind = kind
        self.settings = {"store": str(folder / f"{kind}.db"), **settings}
        self.port = free_port()
        self.offset = 0.0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it listens."""
        command = [sys.executable, "-W", "error", "-m", "tests.heartbeat.serve"]
        self._process = subprocess.Popen(
            [*command, self.kind, str(self.port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say({**self.settings, "offset": self.offset})

    def stop(self) -> None:
        """Kill it: connections are refused afterwards. Sessions stay, the logs are lost."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def pause(self) -> None:
        """Freeze it: connections are taken by the kernel, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    # -- time

    def advance(self, seconds: float) -> float:
        """Move the server's time on; its epoch seconds then. It runs on with the real time."""
        self.offset += seconds
        now: float = self.tell("advance", seconds=seconds)
        return now

    @property
    def now(self) -> float:
        """The server's epoch seconds."""
        return self.advance(0)

    # -- what was asked of it

    def requests(self, path: str = "", method: str = "") -> list[dict[str, Any]]:
        """The requests so far, oldest first: method, path, query, headers, status.

        Args:
            path: only those whose path begins with this.
            method: only those by this method.
        """
        seen: list[dict[str, Any]] = self.tell("seen")
        return [
            each
            for each in seen
            if each["path"].startswith(path) and method in ("", each["method"])
        ]

    def pings(self) -> int:
        """How many heartbeats have reached it."""
        return len(self.requests(f"{PREFIX}heartbeat"))

    def events(self, name: str) -> list[dict[str, Any]]:
        """The session events of this class so far."""
        heard: list[dict[str, Any]] = self.tell("heard")
        return [each for each in heard if each["event"] == name]

    # -- what happens to it

    def answer(self, path: str, status: int | None, location: str = "") -> None:
        """Answer requests to the path with an HTML page of this status; None: serve it again."""
        self.tell("break", path=path, status=status, location=location)

    def mend(self) -> None:
        """Undo what was done to it, but for the time that went by."""
        if self._process is None:
            self.start()
        self.resume()
        self.tell("mend")

    def outage(self, down: bool) -> None:
        """Take the store out of the application's reach, or bring it back."""
        self.tell("outage", down=down)

    def sessions(self, user: str) -> list[dict[str, Any]]:
        """The live sessions of a user: id, and when they were last active."""
        found: list[dict[str, Any]] = self.tell("sessions", user=user)
        return found

    def revoke(self, user: str) -> None:
        """End all sessions of the user, as an administrator would."""
        assert self.tell("revoke", user=user)

    def forget(self, user: str) -> None:
        """Lose the user's records, as a store put back from a backup would."""
        assert self.tell("forget", user=user)

    def tell(self, do: str, **given: Any) -> Any:
        """Give an order to `serve.Control`."""
        return self._say({"do": do, **given})

    def _say(self, line: Any) -> Any:
        process = self._process
        assert process is not None, "the site is not running"
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, f"{self.kind}: the server has ended"
        return json.loads(answer)

    def __enter__(self) -> Site:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
