"""The SQL store's verbs that let a session in, keeping limit and not-before in the same step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy.exc import IntegrityError

from ..core.contract import (
    Conflict,
    CreateResult,
    Exists,
    Limit,
    LimitReached,
    Live,
    Missing,
    Saved,
    SucceedResult,
    Superseded,
)
from ..core.record import EndReason, Record, tag_of
from ..core.steps import Steps
from ..errors import StoreUnavailable
from .admission import counts_from
from .sql_records import Refused, Rows, SQLRecords, well_formed
from .sql_rows import FOREVER, are_numbers, earlier_writes, judge
from .sql_statements import RECORD


class SQLLogins(SQLRecords):
    """`create` and `succeed`."""

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
        if row.ended_at is None and record.write_id in (row.write_id, *earlier_writes(row)):
            return Saved(record.version, row.now)
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

    def _lock_user(self, tag: str) -> Steps[tuple[float, float, float]]:
        """Hold the user's row until the end of the transaction; answers the not-before, the latest
        moment a session counts from, and the time."""
        while True:
            rows: Rows = yield from self._ask(self.statements.lock_user, tag=tag)
            if rows and not are_numbers(*rows[0]):
                # Whether the user was logged out everywhere cannot be known.
                raise StoreUnavailable(
                    f"the row of user tag {tag} is damaged",
                    store=self.capabilities.name,
                    operation="create",
                )
            if rows:
                return tuple(rows[0])
            # A new user, or a purge removed the row while we waited for it.
            retention = self.options.not_before_retention
            yield from self._ask(self.statements.add_user, tag=tag, retention=retention)

    def _admit(self, record: Record, limit: Limit | None) -> Steps[CreateResult]:
        """Insert under the user's lock, keeping not-before and limit; within a transaction."""
        not_before, _, at = yield from self._lock_user(record.tag)
        begins = counts_from(record.valid_from, not_before, at)
        if begins is None:
            found = yield from self._taken(record)
            raise Refused(Superseded(found.now) if isinstance(found, Exists) else found)
        now = yield from self._insert(replace(record, valid_from=begins))
        if now is None:
            raise Refused((yield from self._taken(record)))
        yield from self._ask(self.statements.admitted_from, tag=record.tag, latest=begins)
        if limit is None:
            return Saved(record.version, now)
        rows: Rows = yield from self._ask(
            self.statements.surplus,
            tag=record.tag,
            new=record.id,
            others=max(limit.count - 1, 0),
            **range_of(record.tag),
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
        if not well_formed(old_id):
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
            found = judge(row)
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


def range_of(tag: str) -> dict[str, str]:
    """The ids of a user's sessions: after `tag.` and before `tag/`, the next character."""
    return {"low": f"{tag}.", "high": f"{tag}/"}
