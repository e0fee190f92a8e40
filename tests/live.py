"""An ASGI application on a port of its own, in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

import uvicorn

from tests.server_process import free_port


class Live:
    """Serves `app` while it is entered.

    Attributes:
        url: without a slash at the end.
        busy: requests that are not over yet, what happens after their response included.
        used_at: when there was one last, by the monotonic clock.
    """

    def __init__(self, app: Any) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.busy = 0
        self.used_at = time.monotonic()
        self._app = app
        config = uvicorn.Config(
            self._counted, port=port, log_level="warning", lifespan="off", interface="asgi3"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run)

    async def _counted(self, scope: Any, receive: Any, send: Any) -> None:
        self.busy += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.busy -= 1
            self.used_at = time.monotonic()

    def settle(self, seconds: float = 0.5) -> None:
        """Wait until nobody has asked anything for a while."""
        while self.busy or time.monotonic() < self.used_at + seconds:
            time.sleep(0.01)

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._server.serve())

    def __enter__(self) -> Live:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
