"""What the tests of the SQL store stand on: a store of either colour, and transactions held open.

A held transaction runs a verb's own statements up to its COMMIT; the contender is a verb of the
store under test. That the contender really waits is asked of the engine, never slept for.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import Connection

from openclaw_middleware.core.record import Record
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.sql import AsyncSQLStore, SQLStore

PATIENCE = 20.0
OPTIONS = StoreOptions(timeout=PATIENCE)

WAITING = {
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND query LIKE :pattern",
    "mysql": "SELECT COUNT(*) FROM information_schema.innodb_trx"
    " WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE :pattern",
}


class Blocking:
    """A store of either colour, called blocking; its asyncio colour on one loop of its own."""

    def __init__(self, colour: str, source: Any, options: StoreOptions = OPTIONS) -> None:
        self.colour = colour
        if colour == "sync":
            self.store: Any = SQLStore(source, options)
        else:
            self.store = AsyncSQLStore(source, options)
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever)
            self._thread.start()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.store, name)
        if not inspect.iscoroutinefunction(value):
            return value
        return lambda *args, **options: self.start(name, *args, **options).result(PATIENCE)

    def start(self, verb: str, *args: Any, **options: Any) -> Future[Any]:
        """Begin a call and do not wait for it."""
        call = getattr(self.store, verb)
        if self.colour == "async":
            return asyncio.run_coroutine_threadsafe(call(*args, **options), self._loop)
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(call(*args, **options))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future

    @property
    def engine(self) -> Any:
        """The blocking face of the engine, for listeners and pool counts."""
        if self.colour == "sync":
            return self.store._engine()

        async def find() -> Any:
            return self.store._engine().sync_engine

        return asyncio.run_coroutine_threadsafe(find(), self._loop).result(PATIENCE)

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """The statements sent meanwhile."""
        sent: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            sent.append(statement)

        engine = self.engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield sent
        finally:
            event.remove(engine, "before_cursor_execute", note)

    def finish(self) -> None:
        self.close()
        if self.colour == "async":
            asyncio.run_coroutine_threadsafe(self._loop.shutdown_asyncgens(), self._loop).result(
                PATIENCE
            )
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)
            self._loop.close()


class Lab:
    """One engine, one colour, one namespace; `store` is under test, `other` holds transactions."""

    def __init__(self, kind: str, colour: str, url: str, options: StoreOptions = OPTIONS) -> None:
        self.kind, self.colour, self.url = kind, colour, url
        self.options = replace(options, namespace=f"t{secrets.token_hex(5)}")
        self.store = Blocking(colour, url, self.options)
        self.store.create_tables()
        self.other = SQLStore(url, self.options)
        self._opened = [self.store]

    def another(self, **options: Any) -> Blocking:
        """A further store of the same colour, as another process would have it."""
        self._opened.append(Blocking(self.colour, self.url, replace(self.options, **options)))
        return self._opened[-1]

    def close(self) -> None:
        for store in self._opened:
            store.finish()
        self.other.close()  # its connections may be those of a server that was restarted
        with self.other._engine().connect() as connection:
            for table in reversed(self.other.tables.metadata.sorted_tables):
                connection.execute(text(f"DROP TABLE IF EXISTS {table.name}"))
        self.other.close()

    def sql(self, statement: str, **parameters: Any) -> Any:
        """Run a statement beside the store; `s` and `u` stand for the tables."""
        names = {"s": f"{self.options.namespace}_sessions", "u": f"{self.options.namespace}_users"}
        with self.other._engine().connect() as connection:
            result = connection.execute(text(statement.format_map(names)), parameters)
            return result.all() if result.returns_rows else result.rowcount

    def record(self, user: str | None = "ada", **fields: Any) -> Record:
        now = self.other.now()
        tag = "" if user is None else f"tag-{user}"
        made = Record(
            id=f"{tag}.{secrets.token_hex(8)}",
            secret_hash=secrets.token_bytes(32),
            version=1,
            write_id=secrets.token_hex(8),
            created_at=now,
            authenticated_at=None if user is None else now,
            valid_from=now,
            last_active_at=now,
            idle_timeout=1800.0,
            absolute_timeout=28800.0,
            policy="default",
            user_id=user,
            payload=b"draft",
        )
        return replace(made, **fields)

    def live(self, user: str | None = "ada", **fields: Any) -> Record:
        record = self.record(user, **fields)
        self.other.create(record)
        return self.other.load(record.id).record

    def ending(self, record: Record) -> Steps[Any]:
        """A transaction that signs the session out."""
        end = self.other.statements.end
        named = {"id": record.id, "tag": record.tag, "successor": None}
        return self.other._atomic(
            self.other._ask(end, **named, reason="signed_out", retention=86400.0)
        )

    @contextmanager
    def held(self, steps: Steps[Any]) -> Iterator[Connection]:
        """A transaction of a verb's body that has done everything but commit."""
        with self.other._engine().connect() as connection:
            statement, parameters = next(steps)
            while statement is not self.other.statements.commit:
                result = connection.execute(statement, parameters)
                answer = result.all() if result.returns_rows else result.rowcount
                statement, parameters = steps.send(answer)
            yield connection
            connection.execute(statement)

    def contend(self, steps: Steps[Any], verb: str, *args: Any, **options: Any) -> Any:
        """Start a verb while the transaction of `steps` is open; its answer after the commit."""
        with self.store.statements() as sent, self.held(steps):
            future = self.store.start(verb, *args, **options)
            self.await_lock(sent, future)
        return future.result(PATIENCE)

    def await_lock(self, sent: list[str], future: Future[Any]) -> None:
        """Return when the store's verb waits for a lock somebody else has."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert not future.done(), f"it did not wait: {future.result()}"
            if self.kind == "sqlite":
                # Nobody can be asked; but the lock is ours, so a statement sent will wait.
                if "BEGIN IMMEDIATE" in sent:
                    return
            elif self.sql(WAITING[self.kind], pattern=f"%{self.options.namespace}%")[0][0]:
                return
            # InnoDB's list of transactions is only refreshed for those who ask less often.
            time.sleep(0.15 if self.kind == "mysql" else 0.01)
        raise AssertionError("the verb never came to a lock")


def each(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Call from that many threads at once; answers in order."""
    barrier, answers = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        barrier.wait(PATIENCE)
        answers[number] = call(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return answers
