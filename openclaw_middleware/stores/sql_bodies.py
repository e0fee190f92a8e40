"""The verbs of the SQL store. A body yields `(statement, parameters)` and gets rows, or a count.

Verbs of one statement run in autocommit, so they cost one trip; `_atomic` makes a transaction of
the others. Locks are always taken in the same order: users by tag, then sessions. Whoever needs to
see what others committed while it waited for a lock asks in a new statement. Connections, engines
and colours are the business of `sql`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import TextClause

from ..core.contract import (
    Capabilities,
    Conflict,
    CreateResult,
    Ended,
    EndResult,
    Exists,
    Limit,
    LimitReached,
    Live,
    Loaded,
    Missing,
    RecordPage,
    Saved,
    SaveResult,
    StoreStats,
    SucceedResult,
    Superseded,
    TouchResult,
    UserEnd,
)
from ..core.record import EndReason, Record, tag_of
from ..core.steps import Steps
from .base import StoreBodies
from .sql_statements import RECORD, Statements
from .sql_tables import ID_LENGTH

T = TypeVar("T")
Rows = Sequence[Any]

# Not every engine keeps an infinite number; no sum of this one overflows.
FOREVER = 1e300
# The smallest step by which a spared session is lifted over its user's not-before.
TICK = 1e-6
COUNTED = 1000
COUNTED_FOR_STATS = 10_000
SWEPT_USERS = 20
PURGE_ROUNDS = 10

_WIDTH = len(RECORD)
_IDLE, _ABSOLUTE = RECORD.index("idle_timeout"), RECORD.index("absolute_timeout")
_well_formed = re.compile(rf"[!-~]{{1,{ID_LENGTH}}}").fullmatch


class Refused(Exception):
    """Leaves a transaction, undoing it; `answer` is what the verb answers."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer


class SQLBodies(StoreBodies):
    """Verbs over `statements`; the shells add the connection."""

    statements: Statements
    capabilities: Capabilities

    def _ask(self, statement: TextClause, **parameters: Any) -> Steps[Any]:
        if self.statements.flavour.now == ":now":
            parameters["now"] = round(self.options.clock(), 6)
        answer = yield statement, parameters
        return answer

    def _atomic(self, steps: Steps[T]) -> Steps[T]:
        """Run a body in one transaction. After an error the shell closes the connection."""
        for statement in self.statements.begin:
            yield statement, {}
        try:
            result = yield from steps
        except Refused as refused:
            yield self.statements.rollback, {}
            return refused.answer  # type: ignore[no-any-return]  # the body's own answer
        yield self.statements.commit, {}
        return result

    def _write(self, steps: Steps[T]) -> Steps[T]:
        """Run a body that begins with one conditional UPDATE.

        It needs no transaction where the engine tells the time after waiting for the lock; the
        application's clock is read before a statement is sent, so there the lock comes first.
        """
        return self._atomic(steps) if self.statements.flavour.now == ":now" else steps

    def _now(self) -> Steps[float]:
        rows: Rows = yield from self._ask(self.statements.now)
        return float(rows[0][0])

    # -- looking -----------------------------------------------------------------------------

    def _row(self, session_id: str) -> Steps[Any]:
        rows: Rows = yield from self._ask(
            self.statements.load, id=session_id, tag=tag_of(session_id)
        )
        return rows[0]

    def _judge(self, row: Any, not_after: float = math.inf) -> Loaded:
        """The one place that tells a live record from one that is over."""
        now = row.now
        if row.id is None:
            return Missing(now)
        if row.ended_at is not None:
            reason = _reason(row.end_reason)
            return Ended(row.id, reason, row.ended_at, now, row.user_id, row.successor)
        record = _record(row)
        if row.not_before is not None and record.valid_from <= row.not_before:
            return Ended(record.id, _reason(row.user_reason), row.not_before, now, record.user_id)
        expired = record.expired(now)
        if expired is None and now >= not_after:
            expired = EndReason.ABSOLUTE
        if expired is None:
            return Live(record, now)
        return Ended(record.id, expired, min(record.deadline, not_after), now, record.user_id)

    def _load(self, session_id: str) -> Steps[Loaded]:
        if not _well_formed(session_id):
            return Missing((yield from self._now()))
        return self._judge((yield from self._row(session_id)))

    # -- writing to one record ---------------------------------------------------------------

    def _save(
        self, record: Record, write_id: str, active: bool, not_after: float
    ) -> Steps[SaveResult]:
        return self._write(self._update(record, write_id, active, not_after))

    def _update(
        self, record: Record, write_id: str, active: bool, not_after: float
    ) -> Steps[SaveResult]:
        if not _well_formed(record.id):
            return Missing((yield from self._now()))
        statements = self.statements
        written: Any = yield from self._ask(
            statements.save_active if active else statements.save,
            id=record.id,
            tag=record.tag,
            version=record.version,
            write_id=write_id,
            payload=record.payload,
            policy=record.policy,
            idle_timeout=min(record.idle_timeout, FOREVER),
            absolute_timeout=min(record.absolute_timeout, FOREVER),
            not_after=min(not_after, FOREVER),
        )
        if written:
            now = written[0][0] if statements.flavour.returning else (yield from self._now())
            return Saved(record.version + 1, now)
        row = yield from self._row(record.id)
        found = self._judge(row, not_after)
        if not isinstance(found, Live):
            return found
        if write_id == row.write_id:
            return Saved(row.version, row.now)
        if write_id in row.earlier_writes.split():
            return Saved(record.version + 1, row.now)
        return Conflict(found.record, found.now)

    def _touch(self, session_id: str, not_after: float) -> Steps[TouchResult]:
        touch = self.statements.touch
        return self._write(
            self._change(touch, session_id, not_after, not_after=min(not_after, FOREVER))
        )

    def _rotate(
        self, session_id: str, generation: int, next_hash: bytes | None
    ) -> Steps[TouchResult]:
        parameters: dict[str, Any] = {"generation": generation}
        statement = self.statements.promote
        if next_hash is not None:
            statement, parameters = self.statements.offer, parameters | {"next_hash": next_hash}
        return self._write(self._change(statement, session_id, math.inf, **parameters))

    def _change(
        self, statement: TextClause, session_id: str, deadline: float, **parameters: Any
    ) -> Steps[TouchResult]:
        """Change a live record, and answer it as it is afterwards, changed or not."""
        if not _well_formed(session_id):
            return Missing((yield from self._now()))
        changed: Any = yield from self._ask(
            statement, id=session_id, tag=tag_of(session_id), **parameters
        )
        if changed and self.statements.flavour.returning:
            return Live(_record(changed[0]), changed[0][_WIDTH])
        # The deadline of a change that took place is over for later ones, not for this one.
        return self._judge((yield from self._row(session_id)), math.inf if changed else deadline)

    def _end(self, session_id: str, reason: EndReason, user_id: str | None) -> Steps[EndResult]:
        return self._write(self._bury(session_id, reason, user_id))

    def _bury(self, session_id: str, reason: EndReason, user_id: str | None) -> Steps[EndResult]:
        if not _well_formed(session_id) or not (user_id is None or _storable(user_id)):
            return Missing((yield from self._now()))
        statements = self.statements
        parameters = {} if user_id is None else {"user_id": user_id}
        ended: Any = yield from self._ask(
            statements.end if user_id is None else statements.end_of,
            id=session_id,
            tag=tag_of(session_id),
            reason=reason.value,
            successor=None,
            retention=self.options.tombstone_retention,
            **parameters,
        )
        if ended and statements.flavour.returning:
            owner, at = ended[0]
            return Ended(session_id, reason, at, at, owner, fresh=True)
        row = yield from self._row(session_id)
        if row.id is None or (user_id is not None and row.user_id != user_id):
            return Missing(row.now)
        found = self._judge(row)
        if ended:
            at = row.now if row.ended_at is None else row.ended_at
            return Ended(session_id, reason, at, row.now, row.user_id, fresh=True)
        if isinstance(found, Live):
            # It was over when the update looked and is alive now: the clock was put back.
            return (yield from self._bury(session_id, reason, user_id))
        return found

    # -- letting in --------------------------------------------------------------------------

    def _create(self, record: Record, limit: Limit | None) -> Steps[CreateResult]:
        if record.tag:
            return self._atomic(self._admit(record, limit))
        return self._write(self._admit_anybody(record))

    def _admit_anybody(self, record: Record) -> Steps[CreateResult]:
        now = yield from self._insert(record)
        return Saved(record.version, now) if now is not None else (yield from self._taken(record))

    def _taken(self, record: Record) -> Steps[Saved | Exists]:
        """Whether what stands under the new id is our own earlier try."""
        row = yield from self._row(record.id)
        if row.write_id == record.write_id and row.ended_at is None:
            return Saved(row.version, row.now)
        return Exists(row.now)

    def _insert(self, record: Record) -> Steps[float | None]:
        """Insert if the id is free; the time then, None if it is taken."""
        started = record.created_at if record.authenticated_at is None else record.authenticated_at
        values = {name: getattr(record, name) for name in RECORD}
        del values["last_active_at"], values["promoted_at"]
        values["idle_timeout"] = min(record.idle_timeout, FOREVER)
        values["absolute_timeout"] = min(record.absolute_timeout, FOREVER)
        inserted: Any = 0
        try:
            inserted = yield from self._ask(
                self.statements.insert,
                started=started,
                retention=self.options.ended_retention,
                **values,
            )
        except IntegrityError:
            if self.statements.flavour.ignore or (yield from self._row(record.id)).id is None:
                raise
        if not inserted:
            return None
        returning = self.statements.flavour.returning
        return inserted[0][0] if returning else (yield from self._now())

    def _lock_user(self, tag: str) -> Steps[float]:
        """Hold the user's row until the end of the transaction; answers the not-before."""
        while True:
            rows: Rows = yield from self._ask(self.statements.lock_user, tag=tag)
            if rows:
                return float(rows[0][0])
            # A new user, or a purge removed the row while we waited for it.
            retention = self.options.not_before_retention
            yield from self._ask(self.statements.add_user, tag=tag, retention=retention)

    def _admit(self, record: Record, limit: Limit | None) -> Steps[CreateResult]:
        """Insert under the user's lock, keeping not-before and limit; within a transaction."""
        not_before = yield from self._lock_user(record.tag)
        if record.valid_from <= not_before:
            found = yield from self._taken(record)
            raise Refused(Superseded(found.now) if isinstance(found, Exists) else found)
        now = yield from self._insert(record)
        if now is None:
            raise Refused((yield from self._taken(record)))
        if limit is None:
            return Saved(record.version, now)
        rows: Rows = yield from self._ask(
            self.statements.surplus,
            tag=record.tag,
            new=record.id,
            others=max(limit.count - 1, 0),
            **_range(record.tag),
        )
        surplus = tuple(row[0] for row in rows)
        if surplus and limit.action == "reject":
            raise Refused(LimitReached(now))
        if surplus:
            yield from self._ask(
                self.statements.evict,
                ids=surplus,
                reason=EndReason.LIMIT.value,
                successor=None,
                retention=self.options.tombstone_retention,
            )
        return Saved(record.version, now, surplus)

    def _succeed(
        self, old_id: str, old_version: int, new: Record, reason: EndReason, limit: Limit | None
    ) -> Steps[SucceedResult]:
        return self._atomic(self._replace(old_id, old_version, new, reason, limit))

    def _replace(
        self, old_id: str, old_version: int, new: Record, reason: EndReason, limit: Limit | None
    ) -> Steps[SucceedResult]:
        if not _well_formed(old_id):
            raise Refused(Missing((yield from self._now())))
        # Both users' rows: crosswise successions with limits would wait for each other's records.
        for tag in sorted({tag_of(old_id), new.tag} - {""}):
            yield from self._lock_user(tag)
        replaced: Any = yield from self._ask(
            self.statements.replace,
            id=old_id,
            tag=tag_of(old_id),
            version=old_version,
            reason=reason.value,
            successor=new.id,
            retention=self.options.tombstone_retention,
        )
        if not replaced:
            row = yield from self._row(old_id)
            found = self._judge(row)
            if isinstance(found, Live):
                raise Refused(Conflict(found.record, found.now))
            ours = yield from self._taken(new)
            raise Refused(ours if isinstance(ours, Saved) else found)
        if new.tag:
            return (yield from self._admit(new, limit))
        now = yield from self._insert(new)
        if now is None:
            raise Refused((yield from self._taken(new)))
        return Saved(new.version, now)

    # -- users -------------------------------------------------------------------------------

    def _end_user(self, tag: str, reason: EndReason, except_id: str | None) -> Steps[UserEnd]:
        if not _well_formed(tag):
            now = yield from self._now()
            return UserEnd(now, 0, now)
        return (yield from self._atomic(self._raise_not_before(tag, reason, except_id)))

    def _raise_not_before(
        self, tag: str, reason: EndReason, except_id: str | None
    ) -> Steps[UserEnd]:
        before = yield from self._lock_user(tag)
        spared = except_id if except_id is not None and _well_formed(except_id) else ""
        rows: Rows = yield from self._ask(
            self.statements.count_user, tag=tag, spared=spared, count=COUNTED, **_range(tag)
        )
        ended, now = rows[0]
        # At the same moment as the last one: still above a session that one has spared.
        not_before = now if before < now else round(before + TICK, 6)
        if spared:
            # Before the not-before moves: only a session it had not ended may be spared.
            valid_from = round(not_before + TICK, 6)
            yield from self._ask(
                self.statements.spare, id=spared, tag=tag, valid_from=valid_from, **_range(tag)
            )
        yield from self._ask(
            self.statements.end_user, tag=tag, not_before=not_before, reason=reason.value
        )
        return UserEnd(not_before, ended, now)

    def _sessions_of(self, tag: str, cursor: str | None, count: int) -> Steps[RecordPage]:
        bounds = _range(tag)
        if not _well_formed(tag) or (cursor is not None and not _well_formed(cursor)):
            return RecordPage((), (yield from self._now()))
        if cursor is not None:
            bounds["low"] = max(bounds["low"], cursor)
        count = max(count, 1)
        rows: Rows = yield from self._ask(self.statements.page, tag=tag, count=count + 1, **bounds)
        records = tuple(_record(row) for row in rows if row.id is not None)
        more = records[count - 1].id if len(records) > count else None
        return RecordPage(records[:count], rows[0][_WIDTH], more)

    # -- housekeeping ------------------------------------------------------------------------

    def _purge_expired(self, limit: int) -> Steps[int]:
        at = yield from self._now()
        yield from self._atomic(self._sweep_users(limit, at))
        removed = 0
        for _ in range(PURGE_ROUNDS):
            looked, gone = yield from self._atomic(self._purge_some(limit - removed, at))
            removed += gone
            if removed >= limit or looked < limit - removed + gone:
                break
        return removed

    def _purge_some(self, count: int, at: float) -> Steps[tuple[int, int]]:
        """Delete what is over among the next rows due, and postpone what was used meanwhile."""
        kept = {
            "ended": self.options.ended_retention,
            "tombstone": self.options.tombstone_retention,
        }
        rows: Rows = yield from self._ask(self.statements.due, count=count, at=at, **kept)
        over = [row[0] for row in rows if row[1]]
        used = [row[0] for row in rows if not row[1]]
        if over:
            yield from self._ask(self.statements.delete, ids=over)
        if used:
            yield from self._ask(self.statements.postpone, ids=used, **kept)
        return len(rows), len(over)

    def _sweep_users(self, count: int, at: float) -> Steps[None]:
        """Bury what lies below a not-before, and forget the not-befores nothing needs."""
        statements, options = self.statements, self.options
        rows: Rows = yield from self._ask(statements.due_users, count=SWEPT_USERS, at=at)
        for tag, not_before, reason in rows:
            below: Rows = yield from self._ask(
                statements.below, not_before=not_before, count=count, **_range(tag)
            )
            if below:
                yield from self._ask(
                    statements.bury,
                    ids=[row[0] for row in below],
                    not_before=not_before,
                    reason=reason,
                    retention=options.tombstone_retention,
                )
            kept_until = not_before + options.not_before_retention
            if len(below) >= count:
                continue
            if kept_until <= at:
                yield from self._ask(statements.delete_user, tag=tag)
            else:
                yield from self._ask(statements.postpone_user, tag=tag, purge_at=kept_until)

    def _stats(self) -> Steps[StoreStats]:
        rows: Rows = yield from self._ask(self.statements.count, count=COUNTED_FOR_STATS + 1)
        total, tombstones, live = (int(value or 0) for value in rows[0])
        if total > COUNTED_FOR_STATS:
            return StoreStats(None, detail=f"more than {COUNTED_FOR_STATS} records")
        return StoreStats(live, tombstones)


def _record(row: Any) -> Record:
    values = list(row[:_WIDTH])
    for position in (_IDLE, _ABSOLUTE):
        if values[position] >= FOREVER:
            values[position] = math.inf
    return Record(*values)


def _storable(user_id: str) -> bool:
    """Every engine can keep it, so that a record could be this user's."""
    return "\0" not in user_id and not any("\ud800" <= char <= "\udfff" for char in user_id)


def _reason(stored: str) -> EndReason:
    try:
        return EndReason(stored)
    except ValueError:  # written by a newer release
        return EndReason.GONE


def _range(tag: str) -> dict[str, str]:
    """The ids of a user's sessions: after `tag.` and before `tag/`, the next character."""
    return {"low": f"{tag}.", "high": f"{tag}/"}
