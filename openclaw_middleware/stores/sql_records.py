"""Verbs of the SQL store on one record. A body yields statement and parameters, and gets rows.

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

from sqlalchemy.sql.elements import TextClause

from ..core import deadline
from ..core.contract import (
    Conflict,
    Ended,
    EndResult,
    Live,
    Loaded,
    Missing,
    Saved,
    SaveResult,
    TouchResult,
)
from ..core.record import EndReason, Record, tag_of
from ..core.steps import Steps
from .base import StoreBodies
from .sql_rows import FOREVER, earlier_writes, judge, live
from .sql_statements import Statements
from .sql_tables import ID_LENGTH

T = TypeVar("T")
Rows = Sequence[Any]

well_formed = re.compile(rf"[!-~]{{1,{ID_LENGTH}}}").fullmatch


class Refused(Exception):
    """Leaves a transaction, undoing it; `answer` is what the verb answers."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer


class SQLRecords(StoreBodies):
    """Verbs over `statements`; the shells add the connection."""

    statements: Statements

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

    def _row(self, session_id: str) -> Steps[Any]:
        rows: Rows = yield from self._ask(
            self.statements.load, id=session_id, tag=tag_of(session_id)
        )
        return rows[0]

    def _load(self, session_id: str) -> Steps[Loaded]:
        if not well_formed(session_id):
            return Missing((yield from self._now()))
        return judge((yield from self._row(session_id)))

    def _save(
        self, record: Record, write_id: str, active: bool, not_after: float
    ) -> Steps[SaveResult]:
        return self._write(self._update(record, write_id, active, not_after))

    def _update(
        self, record: Record, write_id: str, active: bool, not_after: float
    ) -> Steps[SaveResult]:
        if not well_formed(record.id):
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
        found = judge(row, not_after)
        if not isinstance(found, Live):
            return found
        if write_id == row.write_id:
            return Saved(row.version, row.now)
        if write_id in earlier_writes(row):
            return Saved(record.version + 1, row.now)
        return Conflict(found.record, found.now)

    def _touch(self, session_id: str, not_after: float, ago: float) -> Steps[TouchResult]:
        until = min(not_after, FOREVER)
        return self._write(
            self._change(self.statements.touch, session_id, not_after, not_after=until, ago=ago)
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
        self, statement: TextClause, session_id: str, until: float, **parameters: Any
    ) -> Steps[TouchResult]:
        """Change a live record, and answer it as it is afterwards, changed or not."""
        if not well_formed(session_id):
            return Missing((yield from self._now()))
        changed: Any = yield from self._ask(
            statement, id=session_id, tag=tag_of(session_id), **parameters
        )
        if changed and self.statements.flavour.returning:
            return live(changed[0])
        # The deadline of a change that took place is over for later ones, not for this one.
        return judge((yield from self._row(session_id)), math.inf if changed else until)

    def _end(self, session_id: str, reason: EndReason, user_id: str | None) -> Steps[EndResult]:
        return self._write(self._bury(session_id, reason, user_id))

    def _bury(self, session_id: str, reason: EndReason, user_id: str | None) -> Steps[EndResult]:
        if not well_formed(session_id) or not (user_id is None or _storable(user_id)):
            return Missing((yield from self._now()))
        statements = self.statements
        parameters: dict[str, Any] = {} if user_id is None else {"user_id": user_id}
        statement = statements.end if user_id is None else statements.end_of
        ended: Any = yield from self._ask(
            statement,
            id=session_id,
            tag=tag_of(session_id),
            reason=reason.value,
            successor=None,
            retention=self.options.tombstone_retention,
            **parameters,
        )
        if ended and statements.flavour.returning:
            owner, at = ended[0][:2]
            return Ended(session_id, reason, at, at, owner, fresh=True)
        row = yield from self._row(session_id)
        if row.id is None or (user_id is not None and row.user_id != user_id):
            return Missing(row.now)
        found = judge(row)
        if ended:
            at = row.now if row.ended_at is None else row.ended_at
            return Ended(session_id, reason, at, row.now, row.user_id, fresh=True)
        if isinstance(found, Live):
            # It was over when the update looked and is alive now: the clock was put back.
            return (yield from self._bury(session_id, reason, user_id))
        return found


def on_connection(connection: Any, steps: Steps[T]) -> Steps[T]:
    """Run the statements a body yields on one connection, and hand it rows or a count."""
    try:
        statement, parameters = next(steps)
        while True:
            if deadline.passed():
                raise TimeoutError("the statements together took too long")
            try:
                result = yield connection.execute(statement, parameters)
            except BaseException as error:
                statement, parameters = steps.throw(error)
            else:
                answer = result.all() if result.returns_rows else result.rowcount
                statement, parameters = steps.send(answer)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration.value is untyped


def _storable(user_id: str) -> bool:
    """Every engine can keep it, so that a record could be this user's."""
    return "\0" not in user_id and not any("\ud800" <= char <= "\udfff" for char in user_id)
