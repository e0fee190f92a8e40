"""The SQL store's verbs on Django's own SQLite connection, in a file or in a test run's memory.

Outside a transaction of the application each verb is one of its own; inside it is a savepoint, so
that it ends with the application's: a test case takes its sessions back with everything else.
The journal mode is the project's, and so is the busy timeout, but that no verb waits for longer
than it may. No statement of a verb is written here.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import Error as DjangoError
from django.db import connections
from sqlalchemy.dialects import sqlite

from ...core import deadline
from ...core.contract import Capabilities
from ...core.steps import Steps
from ...errors import StoreUnavailable
from ...stores.base import AsyncStore, Body, Store, StoreOptions
from ...stores.sql_bodies import SQLBodies
from ...stores.sql_sqlite import SHARE
from ...stores.sql_statements import Statements
from ...stores.sql_tables import Tables
from . import tables

T = TypeVar("T")

_SAVEPOINT = "openclaw_session"
# What Python's sqlite3 waits for a lock where the project says nothing, in seconds.
USUAL_TIMEOUT = 5.0


class OnDjangosConnection(SQLBodies, Store):
    """Blocking colour."""

    driver_errors = (sqlite3.Error, DjangoError, OSError, TimeoutError)

    def __init__(self, alias: str, options: StoreOptions) -> None:
        self.alias = alias
        self.options = options
        self.tables = Tables(options.namespace)
        self.statements = Statements(self.tables, sqlite.dialect(), own_engine=True)
        self.capabilities = Capabilities(
            name="sqlite",
            shared=True,
            durability="as the project's own SQLite settings say",
            clock="application",
        )
        # A live-server test case shares one connection between threads.
        self._lock = threading.RLock()

    def _failure(self, error: BaseException, operation: str) -> StoreUnavailable:
        failure = super()._failure(error, operation)
        if "no such table" in str(error):
            failure.args = (
                f"the session tables do not exist in database {self.alias!r}; create them with: "
                f"manage.py migrate --database {self.alias}",
            )
        return failure

    def _run(self, body: Body[T], *args: Any) -> T:
        if not self._lock.acquire(timeout=deadline.left()):
            raise TimeoutError("another thread did not give back the connection")
        try:
            connection = connections[self.alias]
            connection.ensure_connection()
            options = connection.settings_dict.get("OPTIONS", {})
            with _in_time(connection.connection, options.get("timeout", USUAL_TIMEOUT)):
                return _on(connection.connection, self.statements, body(*args))
        finally:
            self._lock.release()

    def create_tables(self) -> None:
        """As `manage.py migrate` would."""
        with connections[self.alias].schema_editor() as editor:
            tables.create_missing(editor, self.options.namespace)


@contextmanager
def _in_time(raw: Any, most: float) -> Iterator[None]:
    """Wait for a lock as long as the store work at hand may take, and then as the project does."""
    left = deadline.left() * SHARE
    if left >= most:
        yield
        return
    raw.execute(f"PRAGMA busy_timeout = {max(1, int(left * 1000))}")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {int(most * 1000)}")


def _on(raw: Any, statements: Statements, steps: Steps[T]) -> T:
    """Run the statements a body yields, and hand it rows or a count."""
    words = {statements.begin[0]: "begin", statements.commit: "commit"}
    words[statements.rollback] = "rollback"
    inside = raw.in_transaction
    open_ = False
    try:
        statement, parameters = next(steps)
        while True:
            word = words.get(statement)
            if word is not None:
                _transact(raw, word, inside)
                open_ = word == "begin"
                answer: Any = 0
            else:
                answer = _execute(raw, statement.text, parameters)
            statement, parameters = steps.send(answer)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration.value is untyped
    except BaseException:
        # A disk that is full has rolled back by itself.
        if open_ and raw.in_transaction:
            _transact(raw, "rollback", inside)
        raise


def _transact(raw: Any, word: str, inside: bool) -> None:
    savepoint = {
        "begin": (f"SAVEPOINT {_SAVEPOINT}",),
        "commit": (f"RELEASE {_SAVEPOINT}",),
        "rollback": (f"ROLLBACK TO {_SAVEPOINT}", f"RELEASE {_SAVEPOINT}"),
    }
    whole = {"begin": ("BEGIN IMMEDIATE",), "commit": ("COMMIT",), "rollback": ("ROLLBACK",)}
    for statement in (savepoint if inside else whole)[word]:
        raw.execute(statement)


def _execute(raw: Any, text: str, parameters: dict[str, Any]) -> Any:
    """SQLite understands the names of SQLAlchemy's text as they are, but for lists."""
    if "ids" in parameters:
        ids = list(parameters["ids"])
        names = [f"ids_{number}" for number in range(len(ids))]
        listed = ", ".join(f":{name}" for name in names)
        text = text.replace(":ids", f"({listed})")
        rest = {name: value for name, value in parameters.items() if name != "ids"}
        parameters = {**rest, **dict(zip(names, ids, strict=True))}
    cursor = raw.cursor()
    try:
        cursor.execute(text, parameters)
        if cursor.description is None:
            return cursor.rowcount
        row = _row(tuple(column[0] for column in cursor.description))
        return [row(*values) for values in cursor.fetchall()]
    finally:
        cursor.close()


@lru_cache(maxsize=64)
def _row(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", names, rename=True)  # names come with the statement


class InDjangosThread(AsyncStore):
    """Asyncio colour: SQLite connections belong to a thread, so the work goes where Django does
    its own database work for async views."""

    def __init__(self, store: OnDjangosConnection) -> None:
        self.store = store
        self.options = store.options
        self.capabilities = store.capabilities

    async def _call(self, operation: str, body: Body[T], *args: Any) -> T:
        plain: Body[T] = getattr(self.store, body.__name__)
        call = sync_to_async(self.store._call, thread_sensitive=True)
        begun = deadline.narrow(self.options.timeout)
        try:
            # Another request may keep the thread busy.
            async with asyncio.timeout(deadline.left()):
                return await call(operation, plain, *args)
        except TimeoutError as error:
            raise self.store._failure(error, operation) from error
        finally:
            deadline.end(begun)

    async def create_tables(self) -> None:
        await sync_to_async(self.store.create_tables, thread_sensitive=True)()
