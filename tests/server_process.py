"""One running server of a test's own: stop it, freeze it, kill it, bring it back on its port."""

import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests import process_tree
from tests.server_engines import Engine
from tests.server_guard import Guard


class ServerProcess:
    """A server on 127.0.0.1, its data in its own folder; after `restart` the URL is the same."""

    def __init__(
        self, engine: Engine, folder: Path, guard: Guard, options: tuple[str, ...] = ()
    ) -> None:
        self.engine = engine
        self.folder = folder
        self.port = free_port()
        self.url = engine.url(self.port)
        self._guard = guard
        self._options = options
        self._log = folder.parent / f"{folder.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server's process; an error when it does not run."""
        if self._process is None:
            raise RuntimeError(f"{self.engine.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 30) -> None:
        """Start the server and return when it answers."""
        command = [*self.engine.command(self.folder, self.port), *self._options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal is not for the server
                **self.engine.identity(),
            )
        self._guard.started(self.pid)
        self._await_answer(timeout)

    def stop(self, timeout: float = 20) -> None:
        """Let the server shut down in order; a frozen one is thawed first."""
        if self._process is None:
            return
        process_tree.resume(self.pid)
        self._process.send_signal(self.engine.stop_signal)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        else:
            self._ended()

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self._process is None:
            return
        family = process_tree.kill(self.pid)
        self._process.wait()
        process_tree.await_end(family, timeout=10)
        self._ended()

    def restart(self) -> None:
        """Shut down if it runs, and start on the same port with the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections are still accepted by the kernel, nothing is answered."""
        process_tree.pause(self.pid)

    def resume(self) -> None:
        process_tree.resume(self.pid)

    def remove(self) -> None:
        """Kill it and delete its data."""
        self.kill()
        shutil.rmtree(self.folder)

    def log(self) -> str:
        """Return what the server has printed so far."""
        return self._log.read_text(errors="replace")

    def _ended(self) -> None:
        self._guard.ended(self.pid)
        self._process = None

    def _await_answer(self, timeout: float) -> None:
        for _ in _until(timeout):
            with suppress(Exception):  # any driver's way to say "not yet"
                self.engine.ping(self.url)
                return
            if not self.running:
                break
        self.kill()
        raise RuntimeError(f"{self.engine.name} did not start:\n{self.log()[-3000:]}")


def _until(timeout: float) -> Iterator[None]:
    """Yield at a steady pace until the time is up."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        yield
        time.sleep(0.02)


def free_port() -> int:
    """Return a port below the range from which the kernel numbers outgoing connections.

    Inside it, a client that reconnects while the server is down could be given the server's own
    port: it would connect to itself, or take the port from the server's restart.
    """
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port between 20000 and 32000")
