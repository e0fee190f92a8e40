"""`store="django:<alias>"`: sessions in one of the project's own databases.

PostgreSQL, MariaDB and MySQL get connections of our own to that database, so that a rollback of
the application never undoes a logout. SQLite has one writer: a second connection would wait for
the request's own transaction, so there Django's connection does the work (`store_sqlite`).

Which database an alias means is asked at every call: test runners put another one in its place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from django.db import connections

from ...errors import ConfigurationError, MissingDependency
from ...stores.base import AsyncStore, Body, Store, StoreOptions
from .database_url import database_url

try:
    from ...stores.sql import AsyncSQLStore, SQLStore
    from ...stores.sql_errors import is_missing_table
except ImportError as error:
    raise MissingDependency("SQLAlchemy", "sql") from error

from .store_sqlite import InDjangosThread, OnDjangosConnection

T = TypeVar("T")

_names: dict[str, str] = {}


def remember_names() -> None:
    """Note which databases the project names, to tell those of a test run from them."""
    for alias in connections:
        _names.setdefault(alias, str(connections.settings[alias]["NAME"]))


def _is_for_tests(alias: str) -> bool:
    return alias in _names and _names[alias] != str(connections.settings[alias]["NAME"])


def open_blocking(alias: str, options: StoreOptions) -> Store:
    """The blocking store of a database alias.

    Raises:
        ConfigurationError: there is no such alias, or its engine is not supported.
    """
    if _vendor(alias) == "sqlite":
        return OnDjangosConnection(alias, options)
    return cast("Store", _Current(alias, lambda url: ProjectStore(url, options, alias)))


def open_asynchronous(alias: str, options: StoreOptions) -> AsyncStore:
    """The asyncio store of a database alias; raises as `open_blocking`."""
    if _vendor(alias) == "sqlite":
        return InDjangosThread(OnDjangosConnection(alias, options))
    return cast("AsyncStore", _Current(alias, lambda url: AsyncProjectStore(url, options, alias)))


def _vendor(alias: str) -> str:
    if alias not in connections.settings:
        known = ", ".join(connections.settings)
        raise ConfigurationError(f"store: DATABASES has no {alias!r}; known are: {known}")
    vendor: str = connections[alias].vendor
    return vendor


class _Current:
    """Stands for the store of the database an alias means at the moment."""

    def __init__(self, alias: str, make: Callable[[str], Any]) -> None:
        self._alias = alias
        self._make = make
        self._lock = threading.Lock()
        self._name: str | None = None
        self._store: Any = None

    def _now(self) -> Any:
        name = str(connections.settings[self._alias]["NAME"])
        if name != self._name:
            with self._lock:
                if name != self._name:
                    self._store = self._make(database_url(connections[self._alias]))
                    self._name = name
        return self._store

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._now(), verb)


class _Project:
    """What both colours do differently from a store of our own."""

    _alias: str

    def _creates_tables(self, error: Any, attempt: int) -> bool:
        return False

    def _reason(self, failure: Any, error: BaseException) -> Any:
        if is_missing_table(error):
            failure.args = (
                f"the session tables do not exist in database {self._alias!r}; create them with: "
                f"manage.py migrate --database {self._alias}",
            )
        return failure


class ProjectStore(_Project, SQLStore):
    """Blocking colour, on connections of our own."""

    def __init__(self, url: str, options: StoreOptions, alias: str) -> None:
        self._alias = alias
        super().__init__(url, options)

    def _failure(self, error: BaseException, operation: str) -> Any:
        return self._reason(super()._failure(error, operation), error)

    def _run(self, body: Body[T], *args: Any) -> T:
        try:
            return super()._run(body, *args)
        finally:
            # An idle connection would keep the test runner from dropping its database.
            if _is_for_tests(self._alias):
                self.close()


class AsyncProjectStore(_Project, AsyncSQLStore):
    """Asyncio colour, on connections of our own."""

    def __init__(self, url: str, options: StoreOptions, alias: str) -> None:
        self._alias = alias
        super().__init__(url, options)

    def _failure(self, error: BaseException, operation: str) -> Any:
        return self._reason(super()._failure(error, operation), error)

    async def _run(self, body: Body[T], *args: Any) -> T:
        try:
            return await super()._run(body, *args)
        finally:
            if _is_for_tests(self._alias):
                await self.close()
