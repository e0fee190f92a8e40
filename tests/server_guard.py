"""Ends the test servers when the test run is over, however it ended.

Runs as a process of its own and reads lines from its standard input: `+PID` and `-PID` say which
servers run, `folder PATH` what to remove. The end of input means that the test run is gone, after
Ctrl-C or `kill -9` too: then everything left is killed and removed.
"""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests import process_tree


class Guard:
    """The test run's end of the line to the guarding process."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.server_guard"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C at the terminal is not for the guard
        )
        self._say(f"folder {folder}")

    def started(self, pid: int) -> None:
        self._say(f"+{pid}")

    def ended(self, pid: int) -> None:
        self._say(f"-{pid}")

    def close(self) -> None:
        """Let the guard kill and remove what is left, and wait until it has."""
        self._process.communicate(timeout=30)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def main() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    pids: set[int] = set()
    folders: list[str] = []
    for line in map(str.rstrip, sys.stdin):
        if line.startswith("folder "):
            folders.append(line.removeprefix("folder "))
        elif line.startswith("+"):
            pids.add(int(line[1:]))
        else:
            pids.discard(int(line[1:]))
    killed = [member for pid in pids for member in process_tree.kill(pid)]
    process_tree.await_end(killed, timeout=10)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
