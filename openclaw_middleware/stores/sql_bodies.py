"""The SQL store's verbs on all sessions of a user, and its housekeeping."""

from __future__ import annotations

from ..core.contract import Live, RecordPage, StoreStats, UserEnd
from ..core.record import EndReason
from ..core.steps import Steps
from .admission import TICK, next_not_before
from .sql_logins import SQLLogins, range_of
from .sql_records import Rows, well_formed
from .sql_rows import WIDTH, are_numbers, live

COUNTED = 1000
LOOKED_AT = 5 * COUNTED
COUNTED_FOR_STATS = 10_000
SWEPT_USERS = 20
PURGE_ROUNDS = 10


class SQLBodies(SQLLogins):
    """All the verbs."""

    def _end_user(
        self, tag: str, reason: EndReason, except_id: str | None, own_id: str | None
    ) -> Steps[UserEnd]:
        if not well_formed(tag):
            now = yield from self._now()
            return UserEnd(now, 0, now)
        return (yield from self._atomic(self._raise_not_before(tag, reason, except_id, own_id)))

    def _raise_not_before(
        self, tag: str, reason: EndReason, except_id: str | None, own_id: str | None
    ) -> Steps[UserEnd]:
        before, latest, _ = yield from self._lock_user(tag)
        spared = except_id if except_id is not None and well_formed(except_id) else ""
        rows: Rows = yield from self._ask(
            self.statements.count_user,
            tag=tag,
            spared=spared,
            looked=LOOKED_AT,
            count=COUNTED,
            **range_of(tag),
        )
        ended, now = rows[0]
        own: Rows = ()
        if own_id is not None and own_id != except_id and well_formed(own_id):
            own = yield from self._ask(self.statements.alive, id=own_id, tag=tag, **range_of(tag))
        not_before = next_not_before(now, before, latest)
        if spared:
            # Before the not-before moves: only a session it had not ended may be spared.
            valid_from = round(not_before + TICK, 6)
            yield from self._ask(
                self.statements.spare, id=spared, tag=tag, valid_from=valid_from, **range_of(tag)
            )
        yield from self._ask(
            self.statements.end_user, tag=tag, not_before=not_before, reason=reason.value
        )
        return UserEnd(not_before, ended, now, bool(own))

    def _sessions_of(self, tag: str, cursor: str | None, count: int) -> Steps[RecordPage]:
        bounds = range_of(tag)
        if not well_formed(tag) or (cursor is not None and not well_formed(cursor)):
            return RecordPage((), (yield from self._now()))
        if cursor is not None:
            bounds["low"] = max(bounds["low"], cursor)
        count = max(count, 1)
        rows: Rows = yield from self._ask(self.statements.page, tag=tag, count=count + 1, **bounds)
        found = [row for row in rows if row.id is not None]
        more = found[count - 1].id if len(found) > count else None
        answers = map(live, found[:count])
        records = tuple(answer.record for answer in answers if isinstance(answer, Live))
        return RecordPage(records, rows[0][WIDTH], more)

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
        for tag, not_before, reason, latest in rows:
            if not are_numbers(not_before, latest):
                later = at + options.not_before_retention
                yield from self._ask(statements.postpone_user, tag=tag, purge_at=later)
                continue
            below: Rows = yield from self._ask(
                statements.below, not_before=not_before, count=count, **range_of(tag)
            )
            if below:
                yield from self._ask(
                    statements.bury,
                    ids=[row[0] for row in below],
                    not_before=not_before,
                    reason=reason,
                    retention=options.tombstone_retention,
                )
            kept_until = max(not_before, latest) + options.not_before_retention
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
