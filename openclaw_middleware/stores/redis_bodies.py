"""The verbs over Redis or Valkey: each is one script, judged by the server's own clock.

Keys (`{}` are Cluster hash tags; the user is the shard, anonymous sessions spread):

    <ns>:{<tag>}:s:<random>   a user's session        <ns>:s:{<random>}   an anonymous one
    <ns>:{<tag>}:i            ids of the user's live sessions, by deadline
    <ns>:{<tag>}:u            the user's not-before
    <ns>:ended                the channel on which ids and tags are announced

The engine's expiry only reclaims memory: whether a session is over is compared at every step.
Nothing is decided here that two requests could disagree on; that is in `redis_scripts`.
"""

from __future__ import annotations

import inspect
from typing import Any

from ..core import deadline
from ..core.contract import (
    Capabilities,
    CreateResult,
    Ended,
    EndResult,
    Limit,
    Loaded,
    Missing,
    RecordPage,
    SaveResult,
    StoreStats,
    SucceedResult,
    TouchResult,
    UserEnd,
)
from ..core.record import EndReason, Record, tag_of
from ..core.steps import Steps
from ..errors import ConfigurationError
from . import redis_client as clients
from . import redis_wire as wire
from .base import StoreBodies, StoreOptions

# A reservation must outlive the two steps after it, a repeat included.
RESERVATION_TIMEOUTS = 8
_DURABILITY = (
    "what the server acknowledges: with appendonly and appendfsync everysec a crash may lose the "
    "last second, without it all since the last snapshot; replication is asynchronous, so a "
    "failover may undo a logout just acknowledged; needs maxmemory-policy noeviction"
)


class RedisBodies(StoreBodies):
    _awaited: bool
    _ready: Any = None

    def __init__(self, source: Any, options: StoreOptions | None = None) -> None:
        self.options = options or StoreOptions()
        if isinstance(source, str):
            clients.check_url(source, self.options.timeout)
            self._open(source)
        else:
            clients.check_client(source, awaited=self._awaited)
            self._ready = source
        # of the class, because the libraries in use are a matter of the process
        RedisBodies.driver_errors = clients.errors_of_libraries()
        self._across = self._ready is not None and clients.is_sharded(self._ready)
        # An asyncio Cluster client that is first used by many at once, or again after it lost its
        # nodes, asks any node and then closes connections under those who use them.
        self._initialize = (
            getattr(self._ready, "initialize", None) if self._awaited and self._across else None
        )
        self.capabilities = Capabilities(
            name="redis",
            shared=True,
            durability=_DURABILITY,
            clock="store",
            atomic_succeed=not self._across,
            announces=self._ready is None or callable(getattr(self._ready, "pubsub", None)),
        )
        self._ended = repr(float(self.options.ended_retention))
        self._tombstone = repr(float(self.options.tombstone_retention))

    def _open(self, url: str) -> None:
        raise NotImplementedError

    def _client(self) -> Any:
        raise NotImplementedError

    def _disconnected(self, error: BaseException) -> bool:
        return clients.is_disconnection(error)

    def _user_keys(self, tag: str) -> tuple[str, str]:
        start = f"{self.options.namespace}:{{{tag}}}:"
        return start + "u", start + "i"

    def _keys(self, session_id: str) -> tuple[str, str, str]:
        """Keys of the session, its user and the index; an anonymous one's last two never exist."""
        tag, _, random = session_id.partition(".")
        if tag:
            start = f"{self.options.namespace}:{{{tag}}}:"
            return f"{start}s:{random}", start + "u", start + "i"
        start = self.options.namespace
        return f"{start}:s:{{{random}}}", f"{start}:u:{{{random}}}", f"{start}:i:{{{random}}}"

    def _call_script(self, name: str, keys: tuple[str, ...], *args: Any) -> Steps[Any]:
        script = wire.script(name)
        client = self._client()
        if deadline.passed():
            raise TimeoutError("the commands together took too long")
        try:
            if self._initialize is not None:
                yield self._initialize()
            raw = yield client.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
        except self.driver_errors as error:
            if not clients.is_unknown_script(error):
                raise
            raw = yield client.execute_command("EVAL", script.text, len(keys), *keys, *args)
        if not isinstance(raw, list | bytes):
            self._refuse(raw)
        return raw

    def _refuse(self, raw: Any) -> None:
        """Say what is wrong with a ready client whose answers cannot be used."""
        if inspect.isawaitable(raw):
            if inspect.iscoroutine(raw):
                raw.close()
            raise ConfigurationError(clients.wrong_colour(self._awaited))
        raise ConfigurationError(clients.DECODES)

    def _ask(self, session_id: str, name: str, keys: tuple[str, ...], *args: Any) -> Steps[Any]:
        """Run a script about one session; an id that cannot be one of ours is missing."""
        if not wire.well_formed(session_id):
            return Missing((yield from self._now()))
        raw = yield from self._call_script(name, keys, *args)
        if not isinstance(raw[0], bytes):
            self._refuse(raw)
        return wire.answer(session_id, raw)

    def _now(self) -> Steps[float]:
        raw = yield from self._call_script("now", (f"{self.options.namespace}:now",))
        return float(raw)

    def _create(self, record: Record, limit: Limit | None) -> Steps[CreateResult]:
        self._insist(record.id)
        answer: CreateResult = yield from self._ask(
            record.id,
            "create",
            self._keys(record.id),
            record.id,
            self._ended,
            self._tombstone,
            *wire.limit_args(limit),
            *wire.pairs(record),
        )
        return answer

    def _insist(self, session_id: str) -> None:
        if not wire.well_formed(session_id):
            raise ValueError("a session id is <tag>.<random>, of visible ASCII without braces")

    def _load(self, session_id: str) -> Steps[Loaded]:
        answer: Loaded = yield from self._ask(session_id, "load", self._keys(session_id)[:2])
        return answer

    def _save(
        self, record: Record, write_id: str, active: bool, not_after: float
    ) -> Steps[SaveResult]:
        answer: SaveResult = yield from self._ask(
            record.id,
            "save",
            self._keys(record.id),
            record.id,
            self._ended,
            record.version,
            write_id,
            "1" if active else "",
            wire.number(not_after),
            repr(float(record.idle_timeout)),
            repr(float(record.absolute_timeout)),
            wire.encode(record.policy),
            record.payload,
        )
        return answer

    def _touch(self, session_id: str, not_after: float, ago: float) -> Steps[TouchResult]:
        answer: TouchResult = yield from self._ask(
            session_id,
            "touch",
            self._keys(session_id),
            session_id,
            self._ended,
            wire.number(not_after),
            repr(float(ago)),
        )
        return answer

    def _rotate(
        self, session_id: str, generation: int, next_hash: bytes | None
    ) -> Steps[TouchResult]:
        answer: TouchResult = yield from self._ask(
            session_id, "rotate", self._keys(session_id)[:2], generation, next_hash or b""
        )
        return answer

    def _succeed(
        self, old_id: str, old_version: int, new: Record, reason: EndReason, limit: Limit | None
    ) -> Steps[SucceedResult]:
        self._insist(new.id)
        if not wire.well_formed(old_id):
            return Missing((yield from self._now()))
        if self._across and not (tag_of(old_id) and tag_of(old_id) == new.tag):
            return (yield from self._succeed_across(old_id, old_version, new, reason, limit))
        try:
            raw = yield from self._call_script(
                "succeed",
                (*self._keys(old_id), *self._keys(new.id)),
                old_id,
                old_version,
                reason.value,
                new.id,
                self._ended,
                self._tombstone,
                *wire.limit_args(limit),
                *wire.pairs(new),
            )
        except self.driver_errors as error:
            if not clients.is_cross_slot(error):
                raise
            self._across = True
            return (yield from self._succeed_across(old_id, old_version, new, reason, limit))
        answer: SucceedResult = wire.answer(old_id, raw)  # type: ignore[assignment]  # by verb
        return answer

    def _succeed_across(
        self, old_id: str, old_version: int, new: Record, reason: EndReason, limit: Limit | None
    ) -> Steps[SucceedResult]:
        """Reserve, end the old, activate: whatever breaks off, never are both alive.

        A refusal of the new record comes first and leaves the old one alone, with one exception:
        a log-out-everywhere between the steps ends both.
        """
        limits = wire.limit_args(limit)
        keys = self._keys(new.id)
        seconds = repr(RESERVATION_TIMEOUTS * max(self.options.timeout, 1.0))
        raw = yield from self._call_script(
            "reserve", keys, new.id, seconds, *limits, *wire.pairs(new)
        )
        if raw[0] != b"reserved":
            refusal: SucceedResult = wire.answer(new.id, raw)  # type: ignore[assignment]  # by verb
            return refusal
        last = (new.id, new.write_id, self._ended, self._tombstone, *limits)
        raw = yield from self._call_script(
            "end",
            self._keys(old_id),
            *(old_id, reason.value, self._tombstone, "", old_version, new.id),
        )
        found: SucceedResult = wire.answer(old_id, raw)  # type: ignore[assignment]  # by verb
        if not (isinstance(found, Ended) and found.successor == new.id):
            yield from self._call_script("activate", keys, *last, "")
            return found
        answer: SucceedResult = yield from self._ask(new.id, "activate", keys, *last, "1")
        return answer

    def _end(self, session_id: str, reason: EndReason, user_id: str | None) -> Steps[EndResult]:
        owner = b"" if user_id is None else b"=" + wire.encode(user_id)
        answer: EndResult = yield from self._ask(
            session_id,
            "end",
            self._keys(session_id),
            *(session_id, reason.value, self._tombstone, owner, "", ""),
        )
        return answer

    def _end_user(
        self, tag: str, reason: EndReason, except_id: str | None, own_id: str | None
    ) -> Steps[UserEnd]:
        if not tag or not wire.well_formed(f"{tag}.-"):
            now = yield from self._now()
            return UserEnd(now, 0, now)
        user, index = self._user_keys(tag)
        spared, own = (
            each if each and wire.well_formed(each) and tag_of(each) == tag else ""
            for each in (except_id, own_id)
        )
        text, found, at, met = yield from self._call_script(
            "end_user",
            (user, index, *(self._keys(each)[0] if each else user for each in (spared, own))),
            reason.value,
            spared,
            repr(float(self.options.not_before_retention)),
            self._ended,
            own,
        )
        return UserEnd(float(text), int(found), float(at), bool(met))

    def _sessions_of(self, tag: str, cursor: str | None, count: int) -> Steps[RecordPage]:
        score, _, last = (cursor or "").partition(" ")
        known = not cursor or (wire.is_number(score) and wire.well_formed(last))
        if not tag or not known or not wire.well_formed(f"{tag}.-"):
            return RecordPage((), (yield from self._now()))
        now, members, *rest = yield from self._call_script(
            "sessions_of", self._user_keys(tag), max(count, 1), score, last
        )
        records = []
        for member, fields in members:
            try:
                records.append(wire.record(member.decode(), fields))
            except (TypeError, ValueError):
                continue
        onward = f"{rest[0].decode()} {rest[1].decode()}" if rest else None
        return RecordPage(tuple(records), float(now), onward)

    def _purge_expired(self, limit: int) -> Steps[int]:
        """Nothing to do: the server drops keys by itself, and indexes are pruned when used."""
        yield from ()
        return 0

    def _stats(self) -> Steps[StoreStats]:
        keys = yield self._client().execute_command("DBSIZE")
        return StoreStats(None, None, f"{keys} keys in the database, of sessions and of users")
