"""Signals for a process together with everything it started.

A process group is not enough: PostgreSQL gives each backend a session of its own, so stopping the
group would stop the listener and leave the backends answering.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def descendants(pid: int) -> list[int]:
    """Return all processes below `pid`, parents before their children."""
    children: dict[int, list[int]] = {}
    for child, parent, _state in _processes():
        children.setdefault(parent, []).append(child)
    found = list(children.get(pid, ()))
    for known in found:
        found.extend(children.get(known, ()))
    return found


def pause(pid: int) -> None:
    """Freeze the tree, the root first, so that it can start nobody new."""
    _send(signal.SIGSTOP, pid)
    _send(signal.SIGSTOP, *descendants(pid))


def resume(pid: int) -> None:
    """Let the tree run on, the root last."""
    _send(signal.SIGCONT, *descendants(pid), pid)


def kill(pid: int) -> list[int]:
    """Kill the tree without a word, frozen or not, and return who was in it."""
    _send(signal.SIGSTOP, pid)
    family = [pid, *descendants(pid)]
    _send(signal.SIGKILL, *family)
    return family


def await_end(pids: list[int], timeout: float) -> None:
    """Return once none of the processes runs any more; a zombie does not run."""
    deadline = time.monotonic() + timeout
    while running := set(pids) & {pid for pid, _, state in _processes() if state != "Z"}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"still running after {timeout} s: {sorted(running)}")
        time.sleep(0.005)


def _send(signum: int, *pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


def _processes() -> list[tuple[int, int, str]]:
    """Return (pid, parent, state letter) of every process on the machine."""
    if not (_PROC / "self" / "stat").exists():
        listing = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,state="], capture_output=True, text=True, check=True
        ).stdout
        rows = (line.split() for line in listing.splitlines())
        return [(int(pid), int(parent), state[0]) for pid, parent, state in rows]
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                # The name, in parentheses, may itself hold spaces and parentheses.
                state, parent, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
                found.append((int(entry.name), int(parent), state))
    return found
