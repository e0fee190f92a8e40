"""Races of the SQL store, forced: one transaction is held before COMMIT while another begins."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from openclaw_middleware.core.contract import (
    Conflict,
    Ended,
    Limit,
    LimitReached,
    Live,
    Saved,
    Superseded,
)
from openclaw_middleware.core.record import EndReason
from tests.stores.sql_lab import PATIENCE, Lab, each

KINDS = ("sqlite", "postgresql", "mysql")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def lab(request, kind, tmp_path):
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/sessions.db"
    else:
        url = request.getfixturevalue({"postgresql": "postgres_url", "mysql": "mariadb_url"}[kind])
    lab = Lab(kind, request.param, url)
    yield lab
    lab.close()


class TestUncommittedEnd:
    @pytest.mark.parametrize("verb", ["save", "touch", "offer", "promote", "succeed", "end"])
    def test_the_writer_waits_and_revives_nothing(self, lab, verb):
        record = lab.live()
        if verb == "promote":
            record = lab.other.rotate(record.id, generation=0, next_hash=b"n" * 32).record
        successor = lab.record()
        call, args, options = {
            "save": ("save", (record,), {"write_id": "later"}),
            "touch": ("touch", (record.id,), {}),
            "offer": ("rotate", (record.id,), {"generation": 0, "next_hash": b"o" * 32}),
            "promote": ("rotate", (record.id,), {"generation": 0}),
            "succeed": ("succeed", (record.id, 1, successor), {}),
            "end": ("end", (record.id, EndReason.REVOKED), {}),
        }[verb]
        answer = lab.contend(lab.ending(record), call, *args, **options)
        assert isinstance(answer, Ended), answer
        assert (answer.reason, answer.fresh) == (EndReason.SIGNED_OUT, False)
        assert isinstance(lab.store.load(record.id), Ended)
        assert not isinstance(lab.store.load(successor.id), Live)

    def test_a_reader_does_not_wait(self, lab):
        record = lab.live()
        with lab.held(lab.ending(record)):
            assert isinstance(lab.store.load(record.id), Live)
            assert lab.store.sessions_of(record.tag).records
        assert isinstance(lab.store.load(record.id), Ended)


class TestUncommittedSave:
    def test_the_second_writer_gets_the_first_ones_record(self, lab):
        record = lab.live()
        first = replace(record, payload=b"first")
        steps = lab.other._atomic(lab.other._update(first, "w-first", True, 1e12))
        answer = lab.contend(steps, "save", replace(record, payload=b"second"), write_id="w-second")
        assert isinstance(answer, Conflict), answer
        assert (answer.record.payload, answer.record.version) == (b"first", 2)


class TestUncommittedLogin:
    @pytest.mark.parametrize("known", [0, 1])
    def test_log_out_everywhere_waits_for_it_and_counts_it(self, lab, known):
        """Whether the user's row is there already, or is part of what is not committed yet."""
        for _ in range(known):
            lab.live()
        record = lab.record()
        answer = lab.contend(
            lab.other._create(record, None), "end_user", record.tag, EndReason.REVOKED
        )
        assert answer.ended == 1 + known
        assert lab.store.load(record.id).reason is EndReason.REVOKED

    def test_of_a_new_user_as_well(self, lab):
        """The row to lock is not there yet: both insert it."""
        record = lab.record("newcomer")
        answer = lab.contend(
            lab.other._create(record, Limit(1)), "create", lab.record("newcomer"),
            limit=Limit(1, "reject"),
        )  # fmt: skip
        assert isinstance(answer, LimitReached), answer

    def test_the_limit_counts_it(self, lab):
        lab.live()
        first, second = lab.record(), lab.record()
        answer = lab.contend(
            lab.other._create(first, Limit(2)), "create", second, limit=Limit(2, "reject")
        )
        assert isinstance(answer, LimitReached), answer
        assert not isinstance(lab.store.load(second.id), Live)

    def test_the_limit_ends_the_oldest_of_both(self, lab):
        oldest = lab.live()
        first, second = lab.record(), lab.record()
        answer = lab.contend(lab.other._create(first, Limit(1)), "create", second, limit=Limit(1))
        assert isinstance(answer, Saved), answer
        alive = [r for r in (oldest, first, second) if isinstance(lab.store.load(r.id), Live)]
        assert alive == [second]


class TestUncommittedLogOutEverywhere:
    def test_a_login_verified_before_is_refused(self, lab):
        record = lab.record()
        steps = lab.other._end_user(record.tag, EndReason.REVOKED, None, None)
        assert isinstance(lab.contend(steps, "create", record), Superseded)
        assert not isinstance(lab.store.load(record.id), Live)

    def test_so_is_a_succession(self, lab):
        old, new = lab.live(), lab.record()
        steps = lab.other._end_user(old.tag, EndReason.REVOKED, None, None)
        answer = lab.contend(steps, "succeed", old.id, old.version, new)
        assert isinstance(answer, Superseded | Ended), answer
        for record in (old, new):
            assert not isinstance(lab.store.load(record.id), Live)


class TestUncommittedSuccession:
    def test_a_save_of_the_old_learns_the_successor(self, lab):
        old, new = lab.live(), lab.record()
        steps = lab.other._succeed(old.id, 1, new, EndReason.REPLACED, None)
        answer = lab.contend(steps, "save", old, write_id="late")
        assert isinstance(answer, Ended), answer
        assert (answer.reason, answer.successor) == (EndReason.REPLACED, new.id)

    def test_only_one_of_two_takes_place(self, lab):
        old, new, rival = lab.live(None), lab.record("ada"), lab.record("bob")
        steps = lab.other._succeed(old.id, 1, new, EndReason.REPLACED, None)
        assert isinstance(lab.contend(steps, "succeed", old.id, 1, rival), Ended)
        assert isinstance(lab.store.load(new.id), Live)
        assert not isinstance(lab.store.load(rival.id), Live)


class TestTheClock:
    def test_a_touch_that_waited_past_the_deadline_does_not_apply(self, lab, kind):
        """The time is told after the lock was got, not when the statement was sent."""
        shift = [0.0]
        if kind == "sqlite":
            lab.store.store.options = replace(lab.options, clock=lambda: time.time() + shift[0])
        record = lab.live(idle_timeout=0.3 if kind != "sqlite" else 600.0)
        steps = lab.other._atomic(lab.other._update(record, "w", False, 1e12))
        with lab.store.statements() as sent, lab.held(steps):
            future = lab.store.start("touch", record.id)
            lab.await_lock(sent, future)
            shift[0] = 3600.0
            while kind != "sqlite" and lab.other.now() < record.idle_deadline:
                pass
        answer = future.result(PATIENCE)
        assert isinstance(answer, Ended), answer
        assert answer.reason is EndReason.IDLE


class TestInParallel:
    def test_fifty_logins_with_a_limit_of_three(self, lab):
        stores = [lab.store, lab.another()]
        records = [lab.record() for _ in range(50)]
        answers = each(50, lambda n: stores[n % 2].create(records[n], limit=Limit(3)))
        assert all(isinstance(answer, Saved) for answer in answers), answers
        alive = [r.id for r in records if isinstance(lab.store.load(r.id), Live)]
        assert len(alive) == 3
        assert len(lab.store.sessions_of(records[0].tag).records) == 3

    def test_twenty_increments(self, lab):
        record = lab.live(payload=b"0")

        def increment(number):
            current = record
            while True:
                value = b"%d" % (int(current.payload) + 1)
                answer = lab.store.save(replace(current, payload=value), write_id=f"w{number}")
                if isinstance(answer, Saved):
                    return answer.version
                current = answer.record

        versions = each(20, increment)
        assert sorted(versions) == list(range(2, 22))
        assert lab.store.load(record.id).record.payload == b"20"


@pytest.mark.parametrize("kind", KINDS[1:], indirect=True)
def test_a_deadlock_is_resolved_and_the_verb_done_again(lab, kind):
    """Somebody locks in the wrong order; the verb is the victim, and succeeds nevertheless."""
    old, new = lab.live(), lab.record()
    with lab.other._engine().connect() as connection:
        names = {"s": f"{lab.options.namespace}_sessions", "u": f"{lab.options.namespace}_users"}

        def run(statement, **parameters):
            connection.execute(text(statement.format_map(names)), parameters)

        if kind == "postgresql":
            run("SET deadlock_timeout = '15s'")
        run("BEGIN")
        for number in range(5):  # the engine gives up the transaction that changed less
            run("INSERT INTO {u} (tag, not_before, latest, end_reason, purge_at)"
                " VALUES (:tag, 0, 0, '', 9e9)", tag=f"heavy{number}")  # fmt: skip
        run("UPDATE {s} SET policy = 'other' WHERE id = :id", id=old.id)
        with lab.store.statements() as sent:
            future = lab.store.start("succeed", old.id, 1, new)
            lab.await_lock(sent, future)
            run("UPDATE {u} SET not_before = not_before WHERE tag = :tag", tag=old.tag)
            run("COMMIT")
            assert isinstance(future.result(PATIENCE), Saved)
        assert sum(statement.startswith("BEGIN") for statement in sent) > 1
