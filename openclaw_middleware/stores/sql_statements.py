"""Every statement of the SQL store, written once and fitted to the engine's dialect.

`s` is the sessions table, `u` the users table. The sessions of a user are a range of ids: ids
begin with the user's tag and a dot, so the primary key is the index by user. Deciding what to run
is the business of `sql_bodies`.
"""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import bindparam, text
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import TextClause

from ..core.record import Record
from .sql_flavours import FLAVOURS
from .sql_tables import Tables

# Seconds for which the ids of writes are kept, so that a repeated one is known.
REMEMBERED = 30

RECORD = tuple(field.name for field in fields(Record))


_ALIVE = """s.ended_at IS NULL
    AND {now} < s.last_active_at + s.idle_timeout
    AND {now} < COALESCE(s.authenticated_at, s.created_at) + s.absolute_timeout
    AND NOT EXISTS (
        SELECT 1 FROM {u} u WHERE u.tag = :tag AND u.not_before >= s.valid_from)"""
_DEADLINE = (
    "{least}(s.last_active_at + s.idle_timeout,"
    " COALESCE(s.authenticated_at, s.created_at) + s.absolute_timeout)"
)
_OF_USER = "s.id > :low AND s.id < :high"
_FREED = "payload = NULL, secret_hash = NULL, next_hash = NULL, previous_hash = NULL"


class Statements:
    """The statements of one namespace on one dialect, as SQLAlchemy text clauses."""

    def __init__(self, tables: Tables, dialect: Dialect, *, own_engine: bool) -> None:
        self.flavour = FLAVOURS[dialect.name]
        self.channel = tables.channel
        quote = dialect.identifier_preparer.quote
        given = [name for name in RECORD if name not in ("last_active_at", "promoted_at")]
        self._words = {
            "s": quote(tables.sessions.name),
            "u": quote(tables.users.name),
            "now": self.flavour.now,
            "least": self.flavour.least,
            "lock": self.flavour.lock,
            "skip_locked": self.flavour.skip_locked,
            "ignore": self.flavour.ignore,
            "ignore_user": self.flavour.ignore_user,
            "earlier": self.flavour.earlier,
            "remembered": str(REMEMBERED),
            "same_user": self.flavour.same_user,
            "of_user": _OF_USER,
            "freed": _FREED,
            "given": ", ".join(given),
            "values": ", ".join(f":{name}" for name in given),
            "columns": ", ".join(f"s.{name}" for name in RECORD),
            "returned": ", ".join(RECORD),
        }
        self._words["alive"] = _ALIVE.format_map(self._words)
        self._words["deadline"] = _DEADLINE.format_map(self._words)
        # Our own engines set the isolation level once per connection.
        begin = self.flavour.begin[-1:] if own_engine else self.flavour.begin
        self.begin = tuple(text(statement) for statement in begin)
        self.commit, self.rollback = text("COMMIT"), text("ROLLBACK")
        self._read()
        self._write()
        self._users()
        self._purge()

    def _text(self, template: str, *, returning: str = "", announcing: str = "") -> TextClause:
        if announcing and self.flavour.announce:
            announced = self.flavour.announce.format(channel=self.channel, what=announcing)
            returning = f"{returning}, {announced}" if returning else announced
        if returning and self.flavour.returning:
            template = f"{template} RETURNING {returning}"
        statement = text(template.format_map(self._words))
        if ":ids" in template:
            statement = statement.bindparams(bindparam("ids", expanding=True))
        return statement

    def _read(self) -> None:
        self.now = self._text("SELECT {now}")
        # One row always, so that the clock is answered for a missing record as well.
        self.load = self._text(
            "SELECT {columns}, s.ended_at, s.end_reason, s.successor, s.earlier_writes,"
            " u.not_before, u.end_reason AS user_reason, c.now"
            " FROM (SELECT {now} AS now) c"
            " LEFT JOIN {s} s ON s.id = :id LEFT JOIN {u} u ON u.tag = :tag"
        )
        self.page = self._text(
            "SELECT {columns}, c.now FROM (SELECT {now} AS now) c LEFT JOIN ("
            "SELECT s.* FROM {s} s WHERE {of_user} AND {alive} ORDER BY s.id LIMIT :count"
            ") s ON 1 = 1 ORDER BY s.id"
        )
        self.count = self._text(
            "SELECT COUNT(*), SUM(CASE WHEN ended THEN 1 ELSE 0 END),"
            " SUM(CASE WHEN live THEN 1 ELSE 0 END) FROM ("
            "SELECT s.ended_at IS NOT NULL AS ended, s.ended_at IS NULL AND {now} < {deadline}"
            " AS live FROM {s} s LIMIT :count) counted"
        )

    def _write(self) -> None:
        self.insert = self._text(
            "INSERT INTO {s} ({given}, last_active_at, promoted_at, written_at, earlier_writes,"
            " purge_at) VALUES ({values}, {now}, {now}, {now}, '',"
            " {least}({now} + :idle_timeout, :started + :absolute_timeout) + :retention) {ignore}",
            returning="{now}",
        )
        # MariaDB assigns from left to right: a column is read before it is written. What nobody
        # repeats any more is forgotten, so that a session at rest carries one id.
        save = (
            "UPDATE {s} AS s SET earlier_writes ="
            " CASE WHEN {now} > written_at + {remembered} THEN write_id ELSE {earlier} END,"
            " written_at = {now}, write_id = :write_id,"
            " version = version + 1, payload = :payload, policy = :policy,"
            " idle_timeout = :idle_timeout, absolute_timeout = :absolute_timeout"
        )
        unchanged = " WHERE s.id = :id AND s.version = :version AND {alive} AND {now} < :not_after"
        self.save = self._text(save + unchanged, returning="{now}")
        self.save_active = self._text(
            save + ", last_active_at = {now}" + unchanged, returning="{now}"
        )
        self.touch = self._text(
            "UPDATE {s} AS s SET last_active_at = CASE WHEN s.last_active_at > {now} - :ago"
            " THEN s.last_active_at ELSE {now} - :ago END"
            " WHERE s.id = :id AND {alive} AND {now} < :not_after",
            returning="{returned}, {now}",
        )
        self.offer = self._text(
            "UPDATE {s} AS s SET next_hash = :next_hash WHERE s.id = :id AND {alive}"
            " AND s.generation = :generation AND s.next_hash IS NULL",
            returning="{returned}, {now}",
        )
        self.promote = self._text(
            "UPDATE {s} AS s SET previous_hash = secret_hash, secret_hash = next_hash,"
            " next_hash = NULL, generation = generation + 1, promoted_at = {now}"
            " WHERE s.id = :id AND {alive}"
            " AND s.generation = :generation AND s.next_hash IS NOT NULL",
            returning="{returned}, {now}",
        )
        end = (
            "UPDATE {s} AS s SET ended_at = {now}, end_reason = :reason, successor = :successor,"
            " {freed}, purge_at = {now} + :retention"
        )
        told = {"returning": "user_id, ended_at", "announcing": "s.id"}
        self.end = self._text(end + " WHERE s.id = :id AND {alive}", **told)
        self.end_of = self._text(end + " WHERE s.id = :id AND {same_user} AND {alive}", **told)
        self.replace = self._text(
            end + " WHERE s.id = :id AND s.version = :version AND {alive}", **told
        )
        self.evict = self._text(
            end + " WHERE s.id IN :ids AND s.ended_at IS NULL", announcing="s.id"
        )

    def _users(self) -> None:
        self.lock_user = self._text(
            "SELECT u.not_before, u.latest, {now} FROM {u} u WHERE u.tag = :tag {lock}"
        )
        self.add_user = self._text(
            "INSERT INTO {u} (tag, not_before, latest, end_reason, purge_at)"
            " VALUES (:tag, 0, 0, '', {now} + :retention) {ignore_user}"
        )
        self.admitted_from = self._text(
            "UPDATE {u} SET latest = :latest WHERE tag = :tag AND latest < :latest"
        )
        self.surplus = self._text(
            "SELECT s.id FROM {s} s WHERE {of_user} AND s.id <> :new AND {alive}"
            " ORDER BY s.last_active_at DESC, s.id DESC LIMIT 1000000 OFFSET :others"
        )
        # The rows looked at are bounded as well: most may be dead and not purged yet.
        self.count_user = self._text(
            "SELECT COUNT(*), {now} FROM (SELECT s.id FROM ("
            "SELECT s.id, s.ended_at, s.last_active_at, s.idle_timeout, s.authenticated_at,"
            " s.created_at, s.absolute_timeout, s.valid_from FROM {s} s WHERE {of_user}"
            " AND s.id <> :spared ORDER BY s.id LIMIT :looked"
            ") s WHERE {alive} LIMIT :count) counted"
        )
        self.alive = self._text("SELECT s.id FROM {s} s WHERE s.id = :id AND {of_user} AND {alive}")
        self.spare = self._text(
            "UPDATE {s} AS s SET valid_from = :valid_from"
            " WHERE s.id = :id AND {of_user} AND {alive} AND s.valid_from < :valid_from"
        )
        self.end_user = self._text(
            "UPDATE {u} SET not_before = :not_before, end_reason = :reason, purge_at = :not_before"
            " WHERE tag = :tag",
            announcing="tag",
        )

    def _purge(self) -> None:
        # `:at` and not the running clock, which no engine looks up in an index.
        self.due = self._text(
            "SELECT s.id, :at >= CASE WHEN s.ended_at IS NULL THEN {deadline} + :ended"
            " ELSE s.ended_at + :tombstone END AS is_over"
            " FROM {s} s WHERE s.purge_at <= :at ORDER BY s.purge_at LIMIT :count {skip_locked}"
        )
        self.delete = self._text("DELETE FROM {s} WHERE id IN :ids")
        self.postpone = self._text(
            "UPDATE {s} AS s SET purge_at = CASE WHEN s.ended_at IS NULL THEN {deadline} + :ended"
            " ELSE s.ended_at + :tombstone END WHERE s.id IN :ids"
        )
        self.due_users = self._text(
            "SELECT u.tag, u.not_before, u.end_reason, u.latest FROM {u} u WHERE u.purge_at <= :at"
            " ORDER BY u.purge_at LIMIT :count {skip_locked}"
        )
        self.below = self._text(
            "SELECT s.id FROM {s} s WHERE {of_user} AND s.ended_at IS NULL"
            " AND s.valid_from <= :not_before LIMIT :count {skip_locked}"
        )
        self.bury = self._text(
            "UPDATE {s} AS s SET ended_at = :not_before, end_reason = :reason, {freed},"
            " purge_at = :not_before + :retention WHERE s.id IN :ids"
        )
        self.postpone_user = self._text("UPDATE {u} SET purge_at = :purge_at WHERE tag = :tag")
        self.delete_user = self._text("DELETE FROM {u} WHERE tag = :tag")
