"""A TCP proxy on the loopback that delays, swallows or cuts what passes through it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sqlalchemy.engine import make_url

from .sites import Loop
from .visits import PATIENCE


class Proxy:
    """Passes bytes to a server; the test turns the faults on and off.

    Attributes:
        url: the server's URL, by way of this proxy.
        delay: seconds each reply is kept back.
        piece: how many bytes of a reply pass at once; each piece is kept back as a reply is.
        silent: everything is accepted and nothing passed on.
        lose: how many of the next replies are cut off with their connection.
    """

    def __init__(self, url: str) -> None:
        self.delay = 0.0
        self.piece = 65536
        self.silent = False
        self.lose = 0
        self.lost = 0
        target = make_url(url)
        self._target = target.host or "127.0.0.1", target.port or 0
        self._loop = Loop()
        self._server = self._loop.start(asyncio.start_server(self._serve, "127.0.0.1", 0)).result(
            PATIENCE
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = target.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection(*self._target)
            try:
                pumps = self._pump(reader, back, False), self._pump(there, writer, True)
                _, rest = await asyncio.wait(
                    [asyncio.ensure_future(pump) for pump in pumps],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for each in rest:
                    each.cancel()
            finally:
                back.close()
        writer.close()
        self._tasks.discard(task)

    @property
    def _tasks(self) -> set[asyncio.Task[None]]:
        return self.__dict__.setdefault("tasks", set())

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, replies: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                piece = self.piece if replies else len(data)
                for start in range(0, len(data), piece):
                    if not await self._pass(data[start : start + piece], target, replies):
                        return

    async def _pass(self, data: bytes, target: asyncio.StreamWriter, replies: bool) -> bool:
        if replies and self.delay:
            await asyncio.sleep(self.delay)
        if self.silent:
            return True
        # Greetings of a new connection are short; answers of verbs are worth losing.
        if replies and self.lose and len(data) > 20:
            self.lose -= 1
            self.lost += 1
            return False
        target.write(data)
        await target.drain()
        return True

    def close(self) -> None:
        async def stop() -> None:
            self._server.close()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()

        self._loop.start(stop()).result(PATIENCE)
        self._loop.close()
