"""The SQL store's tables, made by Django's schema editor in one of the project's databases.

What the tables look like is said in `stores.sql_tables` alone. SQLAlchemy is imported here when
it is needed, since projects with another store need none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import ConfigurationError, MissingDependency
from . import conf
from .deployment import DJANGO_SCHEME

if TYPE_CHECKING:
    from ...stores.sql_tables import Tables

_DIALECTS = ("postgresql", "mysql", "sqlite")


def wanted_on(alias: str) -> bool:
    """Whether the configured store lives in this database."""
    return bool(conf.runtime().settings.store == DJANGO_SCHEME + alias)


def create_missing(editor: Any, namespace: str | None = None) -> None:
    """Create the tables that are not there. Without SQLAlchemy and without need, nothing.

    Args:
        editor: Django's schema editor on the database.
        namespace: that of the settings if not given.

    Raises:
        MissingDependency: the store is this database, and SQLAlchemy is not installed.
        ConfigurationError: the store is this database, of a kind that is not supported.
    """
    alias = editor.connection.alias
    try:
        tables, dialect = _layout(editor.connection.vendor, namespace)
    except ConfigurationError:
        if wanted_on(alias):
            raise
        return
    from sqlalchemy.schema import CreateIndex, CreateTable

    from ...stores.sql_tables import LAYOUT

    present = existing(editor.connection)
    for table in tables.metadata.sorted_tables:
        if table.name not in present:
            editor.execute(str(CreateTable(table).compile(dialect=dialect)), params=None)
            for index in sorted(table.indexes, key=lambda each: str(each.name)):
                editor.execute(str(CreateIndex(index).compile(dialect=dialect)), params=None)
    if tables.layout.name not in present:
        name = editor.connection.ops.quote_name(tables.layout.name)
        editor.execute(f"INSERT INTO {name} (version) VALUES ({LAYOUT:d})", params=None)  # noqa: S608


def drop(editor: Any) -> None:
    """Drop the tables, and with them every session in them."""
    try:
        tables, dialect = _layout(editor.connection.vendor)
    except MissingDependency:
        return
    from sqlalchemy.schema import DropTable

    present = existing(editor.connection)
    for table in tables.metadata.sorted_tables:
        if table.name in present:
            editor.execute(str(DropTable(table).compile(dialect=dialect)), params=None)


def missing(connection: Any) -> list[str]:
    """Names of the tables that are not there."""
    tables, _ = _layout(connection.vendor)
    present = existing(connection)
    return [t.name for t in tables.metadata.sorted_tables if t.name not in present]


def existing(connection: Any) -> set[str]:
    """Names of the tables that are there."""
    return set(connection.introspection.table_names())


def _layout(vendor: str, namespace: str | None = None) -> tuple[Tables, Any]:
    if vendor not in _DIALECTS:
        raise ConfigurationError(
            f"store: {vendor} is not supported; known are: {', '.join(_DIALECTS)}. Give OPENCLAW "
            "another store, such as redis://"
        )
    try:
        from sqlalchemy.dialects import mysql, postgresql, sqlite
    except ImportError as error:
        raise MissingDependency("SQLAlchemy", "sql") from error
    from ...stores.sql_tables import Tables

    found = {"mysql": mysql, "postgresql": postgresql, "sqlite": sqlite}[vendor]
    return Tables(namespace or conf.runtime().settings.namespace), found.dialect()
