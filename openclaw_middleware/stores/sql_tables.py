"""The tables of the SQL store and how they come to be. No verbs here.

Two tables hold everything: sessions (live records and tombstones) and users (the row every login
and every log-out-everywhere locks first). A third holds the version of this layout.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    inspect,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection
from sqlalchemy.types import TypeEngine

from ..errors import ConfigurationError

LAYOUT = 1
ID_LENGTH = 128
CREATE_COMMAND = "python -m openclaw_middleware tables create"
_MYSQL = ("mysql", "mariadb")


def _plain_id() -> TypeEngine[Any]:
    """Ids and tags are ASCII, compared and ordered by byte: paging and ranges rely on it."""
    by_byte = String(ID_LENGTH).with_variant(String(ID_LENGTH, collation="C"), "postgresql")
    return by_byte.with_variant(
        mysql.VARCHAR(ID_LENGTH, charset="ascii", collation="ascii_bin"), *_MYSQL
    )


def _hash() -> TypeEngine[Any]:
    return LargeBinary().with_variant(mysql.VARBINARY(64), *_MYSQL)


class Tables:
    """The tables of one namespace, as SQLAlchemy metadata."""

    def __init__(self, namespace: str) -> None:
        if not re.fullmatch(r"[a-z0-9_]{1,40}", namespace):
            raise ConfigurationError(
                "namespace: 1 to 40 lower-case letters, digits and '_' are allowed, "
                f"not {namespace!r}"
            )
        self.metadata = MetaData()
        self.namespace = namespace
        self.channel = f"{namespace}_ended"
        # Touches leave every indexed column alone and find room in their own page (HOT).
        options: dict[str, Any] = {"postgresql_with": {"fillfactor": 75}}
        for name in _MYSQL:
            options |= {
                f"{name}_engine": "InnoDB",
                f"{name}_charset": "utf8mb4",
                f"{name}_collate": "utf8mb4_bin",
                f"{name}_row_format": "DYNAMIC",
            }
        self.sessions = Table(
            f"{namespace}_sessions",
            self.metadata,
            Column("id", _plain_id(), primary_key=True),
            Column("secret_hash", _hash()),
            Column("version", BigInteger, nullable=False),
            Column("write_id", String(64), nullable=False),
            Column("earlier_writes", String(2500), nullable=False),
            Column("written_at", Double, nullable=False),
            Column("created_at", Double, nullable=False),
            Column("authenticated_at", Double),
            Column("valid_from", Double, nullable=False),
            Column("last_active_at", Double, nullable=False),
            Column("idle_timeout", Double, nullable=False),
            Column("absolute_timeout", Double, nullable=False),
            Column("policy", String(255), nullable=False),
            Column("user_id", Text),
            Column("payload", LargeBinary().with_variant(mysql.MEDIUMBLOB(), *_MYSQL)),
            Column("generation", BigInteger, nullable=False),
            Column("next_hash", _hash()),
            Column("previous_hash", _hash()),
            Column("promoted_at", Double, nullable=False),
            Column("ended_at", Double),
            Column("end_reason", String(32)),
            Column("successor", _plain_id()),
            # When a purge should look at the row again: a lower bound that only purges and the
            # end of the session move, so that it can be indexed without costing touches.
            Column("purge_at", Double, nullable=False),
            Index(f"{namespace}_sessions_purge_at", "purge_at"),
            **options,
        )
        self.users = Table(
            f"{namespace}_users",
            self.metadata,
            Column("tag", _plain_id(), primary_key=True),
            Column("not_before", Double, nullable=False),
            Column("latest", Double, nullable=False),
            Column("end_reason", String(32), nullable=False),
            Column("purge_at", Double, nullable=False),
            Index(f"{namespace}_users_purge_at", "purge_at"),
            **options,
        )
        self.layout = Table(
            f"{namespace}_layout",
            self.metadata,
            Column("version", Integer, primary_key=True, autoincrement=False),
        )

    def create(self, connection: Connection) -> None:
        """Create what is missing; safe to repeat, and to run in many processes at once.

        The connection is in autocommit mode.

        Raises:
            ConfigurationError: a newer release laid these tables out.
        """
        with _one_at_a_time(connection, self.namespace):
            layout = self.layout.name
            if not inspect(connection).has_table(layout):
                self.metadata.create_all(connection)
                connection.execute(self.layout.insert().values(version=LAYOUT))
                return
            found = connection.execute(self.layout.select()).scalar_one()
            if found > LAYOUT:
                raise ConfigurationError(
                    f"tables {self.namespace}_* have layout {found}, this release knows {LAYOUT}: "
                    "install the newer release again"
                )
            self.metadata.create_all(connection)


@contextmanager
def _one_at_a_time(connection: Connection, namespace: str) -> Iterator[None]:
    """Let nobody else create these tables meanwhile; undo everything on an error, if possible."""
    name = f"openclaw_middleware.{namespace}"
    if connection.dialect.name in _MYSQL:
        # DDL commits by itself there, so the lock cannot be the transaction's.
        if connection.execute(text("SELECT GET_LOCK(:name, 25)"), {"name": name}).scalar() != 1:
            raise ConfigurationError(f"another process has been creating {namespace}_* tables")
        try:
            yield
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": name})
        return
    connection.execute(text("BEGIN" if connection.dialect.name != "sqlite" else "BEGIN IMMEDIATE"))
    try:
        if connection.dialect.name == "postgresql":
            key = {"key": zlib.crc32(name.encode())}
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), key)
        yield
    except BaseException:
        connection.execute(text("ROLLBACK"))
        raise
    connection.execute(text("COMMIT"))
