"""What differs between the SQL engines, as words for the statements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flavour:
    """What differs between the engines.

    Attributes:
        now: the engine's clock in epoch seconds; evaluated where it stands, not when the
            statement or transaction began, so that after waiting for a lock it is the time after.
        begin: starts a transaction that may write.
        returning: UPDATE and INSERT can answer rows.
        ignore: makes an INSERT of a present key do nothing; empty: it fails.
        lock: makes a SELECT lock its rows.
        earlier: the ids of the last writes (128 of ours), the latest first.
        same_user: compares user ids byte by byte, trailing blanks included.
        announce: tells who listens of `what`, when the transaction commits; a full queue of the
            server's must not keep it from committing. Empty where nobody can listen.
    """

    now: str
    begin: tuple[str, ...]
    returning: bool
    ignore: str
    lock: str
    ignore_user: str
    skip_locked: str
    least: str
    earlier: str
    same_user: str = "s.user_id = :user_id"
    announce: str = ""


# NOW() and UTC_TIMESTAMP() stand still within a statement, SYSDATE() runs but is local time: their
# sum is right in every session time zone. Ours is UTC, where no hour comes twice.
_MYSQL_NOW = (
    "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"
    " + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6))) / 1e6"
)

FLAVOURS = {
    "sqlite": Flavour(
        now=":now",
        begin=("BEGIN IMMEDIATE",),
        returning=True,
        ignore="ON CONFLICT DO NOTHING",
        lock="",
        ignore_user="ON CONFLICT DO NOTHING",
        skip_locked="",
        least="MIN",
        earlier="SUBSTR(write_id || ' ' || earlier_writes, 1, 2450)",
    ),
    "postgresql": Flavour(
        now="CAST(EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) AS DOUBLE PRECISION)",
        begin=("BEGIN ISOLATION LEVEL READ COMMITTED",),
        returning=True,
        ignore="ON CONFLICT DO NOTHING",
        lock="FOR UPDATE",
        ignore_user="ON CONFLICT DO NOTHING",
        skip_locked="FOR UPDATE SKIP LOCKED",
        least="LEAST",
        earlier="SUBSTR(write_id || ' ' || earlier_writes, 1, 2450)",
        announce="CASE WHEN PG_NOTIFICATION_QUEUE_USAGE() < 0.5"
        " THEN PG_NOTIFY('{channel}', {what}) END",
    ),
    "mysql": Flavour(
        now=_MYSQL_NOW,
        begin=("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN"),
        returning=False,
        ignore="",
        lock="FOR UPDATE",
        # Takes the exclusive lock on a present row; a plain INSERT would take a shared one, and
        # two of them asking for more would be a deadlock.
        ignore_user="ON DUPLICATE KEY UPDATE tag = tag",
        skip_locked="FOR UPDATE SKIP LOCKED",
        least="LEAST",
        earlier="SUBSTR(CONCAT(write_id, ' ', earlier_writes), 1, 2450)",
        same_user="CAST(s.user_id AS BINARY) = CAST(:user_id AS BINARY)",
    ),
}
FLAVOURS["mariadb"] = FLAVOURS["mysql"]
