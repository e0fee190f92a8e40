"""A Chromium driven over the raw DevTools protocol: its tabs are hidden, throttled and frozen.

Playwright keeps every tab visible and awake, by design. Here a tab in the background is what it is
in front of a person; `test_hidden_tabs` begins by showing that. Nothing about sessions.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
from websockets.sync.client import ClientConnection, connect

from tests import process_tree
from tests.browser import OPTIONS

GRACE = 10
"""Seconds after which timers of a hidden tab run once a minute; Chromium's own default is 300."""

PATIENCE = 20

VALUE = {"awaitPromise": True, "returnByValue": True}

_WAKES = "--enable-features=IntensiveWakeUpThrottling:grace_period_seconds"
THROTTLES, NEVER_THROTTLES = f"{_WAKES}/{GRACE}", f"{_WAKES}/3600"

FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=800,600",
)


class Tab:
    """One tab. A new one is in front; the others are then hidden."""

    def __init__(self, http: str, name: str, wire: ClientConnection) -> None:
        self.id = name
        self.events: list[dict[str, Any]] = []
        self._http = http
        self._wire = wire
        self._sent = 0
        for domain in ("Page", "Runtime", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command; what it returns. Events that come before are kept in `events`."""
        self.begin(method, **parameters)
        return self.finish()

    def begin(self, method: str, **parameters: Any) -> None:
        """Send a command, whose `finish` follows."""
        self._sent += 1
        self._method = method
        self._wire.send(json.dumps({"id": self._sent, "method": method, "params": parameters}))

    def finish(self) -> dict[str, Any]:
        """What the command returns that was begun last."""
        while True:
            message: dict[str, Any] = json.loads(self._wire.recv(PATIENCE))
            if message.get("id") != self._sent:
                self.events.append(message)
            elif "error" in message:
                raise RuntimeError(f"{self._method}: {message['error']['message']}")
            else:
                return message["result"]  # type: ignore[no-any-return]

    def run(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise."""
        self.begin("Runtime.evaluate", expression=script, **VALUE)
        return self.value()

    def value(self) -> Any:
        """The value of the expression whose evaluation was begun last."""
        found = self.finish()
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    def until(self, script: str, wanted: Any = True, patience: float = PATIENCE) -> float:
        """Ask again until the expression has this value; seconds it took."""
        began = time.monotonic()
        while (found := self.run(script)) != wanted:
            waited = time.monotonic() - began
            assert waited < patience, f"{script} is {found!r} after {waited:.1f} s, not {wanted!r}"
            time.sleep(0.02)
        return time.monotonic() - began

    def heard(self, method: str) -> list[dict[str, Any]]:
        """The parameters of the events of this name so far."""
        self.run("0")
        return [each["params"] for each in self.events if each.get("method") == method]

    def console(self) -> list[str]:
        """What the page has logged, and what it failed to catch."""
        logged = self.heard("Runtime.consoleAPICalled")
        thrown = self.heard("Runtime.exceptionThrown")
        said = [str(arg.get("value")) for each in logged for arg in each["args"]]
        return said + [str(each["exceptionDetails"]) for each in thrown]

    def go(self, url: str) -> None:
        """Follow a link, as far as the page is loaded."""
        self._loading(lambda: self.send("Page.navigate", url=url))

    def back(self) -> None:
        """Press the back button."""
        history = self.send("Page.getNavigationHistory")
        entry = history["entries"][history["currentIndex"] - 1]["id"]
        self._loading(lambda: self.send("Page.navigateToHistoryEntry", entryId=entry))

    def _loading(self, move: Callable[[], object]) -> None:
        """A page out of the back/forward cache does not load, but it is shown."""
        before = self.run("performance.timeOrigin")
        move()
        self.until(f"performance.timeOrigin != {before} && document.readyState == 'complete'")

    def show(self) -> None:
        """Bring it to the front."""
        _ask(f"{self._http}/json/activate/{self.id}")
        self.until("document.visibilityState", "visible")

    def freeze(self) -> None:
        self.send("Page.setWebLifecycleState", state="frozen")

    def thaw(self) -> None:
        self.send("Page.setWebLifecycleState", state="active")

    def offline(self, off: bool) -> None:
        """Take the network away from this tab, or give it back."""
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.send("Network.emulateNetworkConditions", offline=off, **speed)

    def click(self, x: float = 5, y: float = 5) -> None:
        """A click of a person: the page's events are trusted."""
        for kind in ("mousePressed", "mouseReleased"):
            where = {"x": x, "y": y, "button": "left", "clickCount": 1}
            self.send("Input.dispatchMouseEvent", type=kind, **where)

    def press(self, key: str = "a") -> None:
        """A key pressed by a person."""
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def close(self) -> None:
        _ask(f"{self._http}/json/close/{self.id}")


def all_at_once(tabs: list[Tab], script: str) -> list[Any]:
    """The values of one expression in several tabs, which run at the same time."""
    for tab in tabs:
        tab.begin("Runtime.evaluate", expression=script, **VALUE)
    return [tab.value() for tab in tabs]


class Chromium:
    """One browser with an empty profile. `tab` opens a tab in front of the others."""

    def __init__(self, http: str, wires: ExitStack) -> None:
        self._http = http
        self._wires = wires

    def tab(self, url: str) -> Tab:
        """A new tab, loaded."""
        found = _ask(f"{self._http}/json/new?about:blank").json()
        wire = connect(found["webSocketDebuggerUrl"], max_size=None, proxy=None)
        tab = Tab(self._http, found["id"], self._wires.enter_context(wire))
        tab.go(url)
        return tab


@contextmanager
def chromium(program: str, *options: str) -> Iterator[Chromium]:
    """Start a browser with these further options, and leave nothing of it."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        command = [program, *FLAGS, *OPTIONS, *options, f"--user-data-dir={folder}", "about:blank"]
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            with ExitStack() as wires:
                yield Chromium(f"http://127.0.0.1:{_port(Path(folder), process)}", wires)
        finally:
            family = process_tree.kill(process.pid)
            process.wait()
            process_tree.await_end(family, timeout=10)


def _ask(url: str) -> httpx2.Response:
    """What the browser itself answers; it wants PUT for some, and takes it for all."""
    return httpx2.put(url, timeout=PATIENCE, trust_env=False).raise_for_status()


def _port(folder: Path, process: subprocess.Popen[bytes]) -> int:
    """Where it listens, once it does."""
    written = folder / "DevToolsActivePort"
    deadline = time.monotonic() + 3 * PATIENCE
    while not (written.exists() and (lines := written.read_text().split())):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("Chromium did not start:\n" + (folder / "log").read_text()[-3000:])
        time.sleep(0.02)
    return int(lines[0])
