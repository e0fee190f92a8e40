"""What must hold after each store call, and when a request is answered.

Knows the store only by what it answers to `load`, and requests by what they set out to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openclaw_middleware.core import contract as ct
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.record import EndReason, Record, tag_of

from .effects import MISSING, Data, Effect, Journal

if TYPE_CHECKING:
    from .request import Request
    from .stepping import Call
    from .world import World

TAKE_ONCE = "code"


@dataclass(frozen=True)
class Seen:
    """A live record as it was found."""

    record: Record
    data: Data


Live = dict[str, Seen]


class Broken(AssertionError):
    """A promise was broken."""


class Oracle:
    """Checks every step of one world.

    Attributes:
        dead: ids that were seen alive and then not; none ever comes back.
        heirs: successor of each replaced id; `replaced` those that nobody signed out of.
        copied: one-time values that a second sign-in took along, so that two sessions hold them.
        ended_at: the tick of the last performed end of all of a tag's sessions, and by whom.
        not_before: highest not-before told, by tag.
        indexed: the per-user index was never erased.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead: set[str] = set()
        self.heirs: dict[str, str] = {}
        self.replaced: set[str] = set()
        self.copied: set[Any] = set()
        self.ended_at: dict[str, list[tuple[int, Request]]] = {}
        self.not_before: dict[str, float] = {}
        self.given: dict[Any, Request] = {}
        self.active_at: dict[str, float] = {}
        self.indexed = True

    # -- after each store call

    def judge(
        self, request: Request, call: Call, answer: Any, before: Live, after: Live, repeat: bool
    ) -> None:
        """Check one performed store call."""
        if call.verb == "touch" or (call.verb == "save" and call.keywords.get("active")):
            told = isinstance(answer, ct.Live | ct.Saved)
            target = call.args[0] if call.verb == "touch" else call.args[0].id
            if told and target in after:
                self.active_at[target] = self.world.now()
        self._nobody_rises(after)
        self._deaths_have_a_cause(request, call, answer, before, after)
        self._identities_stand(request, call, before, after)
        self._limits_hold(after)
        if call.verb in ("load", "now", "touch", "rotate", "end", "end_user"):
            self._data_stand(before, after)
        if call.verb == "end":
            self._judge_end(request, call, before, after)
        if call.verb == "save":
            self._judge_save(request, call, before, after)
        elif call.verb in ("create", "succeed"):
            self._judge_birth(request, call, answer, before, after)
        elif call.verb == "end_user":
            self._judge_end_user(request, call, answer, after, repeat)

    def _nobody_rises(self, after: Live) -> None:
        risen = self.dead & set(after)
        self._hold(not risen, f"dead sessions came back: {risen}")
        if not self.world.settable:
            return
        now = self.world.now()
        for seen in after.values():
            idle = self.active_at.get(seen.record.id, 0.0) + seen.record.idle_timeout
            if seen.record.id in self.active_at:
                self._hold(now < idle, f"{seen.record.id} lives past its idle limit")
            self._hold(now < seen.record.absolute_deadline, f"{seen.record.id} lives too long")

    def _deaths_have_a_cause(
        self, request: Request, call: Call, answer: Any, before: Live, after: Live
    ) -> None:
        for died in set(before) - set(after):
            self.dead.add(died)
            tag = tag_of(died)
            if call.verb == "end" and call.args[0] == died:
                request.ended.add(died)
            elif call.verb == "succeed" and call.args[0] == died:
                request.ended.add(died)
                self.heirs[died] = call.args[2].id
                if call.keywords["reason"] is EndReason.REPLACED:
                    self.replaced.add(died)
                stillborn = call.args[2].expired(self.world.now()) is not None
                alive = call.args[2].id in after or stillborn
                self._hold(alive, "the old session is dead, its successor too")
            elif call.verb == "end_user" and call.args[0] == tag:
                if died in (request.loaded_id, *request.created):
                    request.ended.add(died)
                self._hold(call.keywords.get("except_id") != died, "the spared session was ended")
            elif call.verb in ("create", "succeed"):
                limited = call.keywords.get("limit") is not None
                told = died in getattr(answer, "ended", ())
                self._hold(limited and told, f"{call.verb} ended {died} and did not say so")
            elif call.verb == "save" and call.args[0].id == died:
                # Shorter limits may be over at once.
                self._hold(request.policy, "a save ended its session")
            else:
                raise Broken(f"{call.verb} of {request} ended {died}")

    def _identities_stand(self, request: Request, call: Call, before: Live, after: Live) -> None:
        for session_id in set(before) & set(after):
            old, new = before[session_id].record, after[session_id].record
            self._hold(old.user_id == new.user_id, "a record changed hands")
            self._hold(old.created_at == new.created_at, "a record changed its birthday")
            self._hold(old.authenticated_at == new.authenticated_at, "a sign-in moved")
            if old.absolute_deadline != new.absolute_deadline or old.policy != new.policy:
                allowed = call.verb == "save" and request.policy and call.args[0].id == session_id
                self._hold(allowed, f"{call.verb} moved the absolute deadline")
            if old.secret_hash != new.secret_hash or old.generation != new.generation:
                self._hold(call.verb == "rotate", f"{call.verb} changed a secret")
                self._hold(new.generation == old.generation + 1, "a generation was skipped")
            if old.valid_from != new.valid_from:
                self._hold(call.verb == "end_user", f"{call.verb} moved valid_from")
        for old_id, heir in self.heirs.items():
            self._hold(not (old_id in after and heir in after), "old and new are both alive")

    def _data_stand(self, before: Live, after: Live) -> None:
        for session_id in set(before) & set(after):
            old, new = before[session_id], after[session_id]
            self._hold(old.data == new.data, "a call without data changed data")
            self._hold(old.record.version == new.record.version, "a mere look moved the version")

    def _limits_hold(self, after: Live) -> None:
        limit = self.world.desk.rules.limit
        if limit is None or not self.indexed:
            return
        users = [seen.record.user_id for seen in after.values() if seen.record.user_id]
        for user in set(users):
            self._hold(users.count(user) <= limit.count, f"{user} has too many sessions")

    # -- writes

    def _judge_save(self, request: Request, call: Call, before: Live, after: Live) -> None:
        target = call.args[0].id
        for session_id in set(before) & set(after) - {target}:
            same = before[session_id].data == after[session_id].data
            self._hold(same, f"a save on {target} changed {session_id}")
        if target in before and target not in after and request.policy:
            request.journal.explain(before[target].data, self.world.content(call.args[0]))
        if target not in before or target not in after:
            return
        old, new = before[target], after[target]
        if old.record.version == new.record.version:
            self._hold(old.data == new.data, "data changed without a new version")
            return
        self._hold(new.record.version == old.record.version + 1, "a version was skipped")
        self._hold(not request.failed, "a failed request saved its changes")
        standing = request.x.state.record
        owner = standing.user_id if standing else None
        self._hold(new.record.user_id == owner, f"changes of {owner} reached {new.record.user_id}")
        following = standing is not None and standing.id != target
        journal = request.journal
        if request.run is not None and request.run.name == "take":
            key = str(request.taking)
            journal = Journal({key: Effect("delete", old.data.get(key, MISSING), MISSING)})
        self._explain(request, journal, old.data, new.data, following=following)

    def _judge_birth(
        self, request: Request, call: Call, answer: Any, before: Live, after: Live
    ) -> None:
        new: Record = call.args[2] if call.verb == "succeed" else call.args[0]
        for session_id in set(before) & set(after):
            same = before[session_id].data == after[session_id].data
            self._hold(same, f"a birth changed {session_id}")
        if new.id in request.created or not isinstance(answer, ct.Saved):
            return
        self._hold(not request.failed, "a failed request made a session")
        request.created.add(new.id)
        self.active_at[new.id] = self.world.now()
        # A session made after a long wait may be over already.
        found = after.get(new.id) or Seen(new, self.world.content(new))
        user = found.record.user_id
        self._hold(user == request.login_as or request.login_as is None, "the wrong user")
        if request.login_as is not None:
            for tick, by in self.ended_at.get(found.record.tag, []):
                late = tick > request.began and by is not request
                self._hold(not late, "a sign-in survived a later end of all sessions")
        old = before.get(call.args[0]) if call.verb == "succeed" else None
        inherited: Data = {}
        if old is not None:
            self._inherit(request, old, found)
            inherited = {} if request.detached else old.data
        elif call.verb == "create" and not request.detached:
            inherited = self._copied(request, found.data, before)
        self._explain(request, request.journal, inherited, found.data, following=False)

    def _copied(self, request: Request, data: Data, before: Live) -> Data:
        """A second sign-in beside the first: the visitor's data come, as just read."""
        first = request.loaded
        if first is None or first.user_id is not None:
            return {}
        heir: str | None = first.id
        while heir in self.replaced:
            heir = self.heirs[heir]
        found = before.get(str(heir))
        record = found.record if found else None
        if record is None and request.seen_of is not None and request.seen_of.id == heir:
            # It was read in time, and has run out since.
            record = request.seen_of if request.seen_of.expired(self.world.now()) else None
        if record is None or heir == first.id or record.user_id not in (None, request.user):
            return {}
        self._hold(data.get(TAKE_ONCE) not in self.given, "a value that was taken came back")
        self.copied.add(request.seen.get(TAKE_ONCE))
        return request.seen

    def _inherit(self, request: Request, old: Seen, new: Seen) -> None:
        if request.login_as is not None or request.detached:
            return
        self._hold(old.record.user_id == new.record.user_id, "a new id changed the user")
        if not request.policy:
            moved = old.record.absolute_deadline != new.record.absolute_deadline
            self._hold(not moved, "a new id moved the absolute deadline")

    def _explain(
        self, request: Request, journal: Journal, before: Data, after: Data, *, following: bool
    ) -> None:
        met = [key for key, e in journal.effects.items() if e.collides(before.get(key, MISSING))]
        wrong = journal.explain(before, after, following=following)
        self._hold(not wrong, "; ".join(wrong))
        for key, effect in journal.effects.items():
            self._hold(effect.landed <= 1, f"the change of {key} took place twice")
        for key in met:
            self._hold(request.declared(key), f"a collision on {key} was not declared")

    def _judge_end_user(
        self, request: Request, call: Call, answer: Any, after: Live, repeat: bool
    ) -> None:
        tag = call.args[0]
        self.ended_at.setdefault(tag, []).append((self.world.tick, request))
        survivors = [each for each in after if tag_of(each) == tag]
        spared = call.keywords.get("except_id")
        self._hold(all(each == spared for each in survivors), "an end of all sessions missed one")
        if isinstance(answer, ct.UserEnd):
            last = self.not_before.get(tag, 0.0)
            self._hold(answer.not_before >= last, "a not-before went back")
            self.not_before[tag] = answer.not_before

    def _judge_end(self, request: Request, call: Call, before: Live, after: Live) -> None:
        """A visitor's session is ended by a wish or a theft, never for being empty."""
        ended = before.get(call.args[0])
        if ended is None or ended.record.id in after or ended.record.user_id is not None:
            return
        asked = request.leaving is not None or call.args[1] is EndReason.THEFT
        self._hold(asked, "a visitor's session was ended and nobody asked for it")

    # -- at the end of a stage

    def loaded(self, request: Request) -> None:
        """A load is over: a genuine token of a living session is let in, theft is no mistake."""
        x, record = request.x, request.loaded
        if x.failure is not None or record is None or x.token is None or not request.genuine:
            return
        if not any(isinstance(event, ev.TheftSuspected) for event in request.all_told):
            self._hold(x.state.record is not None, "a genuine token was turned away")
            return
        self._hold(x.token.generation < record.generation, "theft without an older token")
        late = self.world.now() >= record.promoted_at + x.rules.rotation_grace
        self._hold(late, "theft within the grace")

    def acknowledged(self, request: Request) -> None:
        """A commit returned: what it says happened has happened, or an event says otherwise."""
        if request.failed and request.broken is None:
            self._hold(request.journal.landed == request.landed, "a failed request saved data")
        elif not request.failed:
            for key, effect in request.journal.effects.items():
                ground = self.world.live.get(str(request.loaded_id))
                gone = effect.kind == "delete" and (ground is None or key not in ground.data)
                kept = effect.landed == 1 or gone or request.declared(key)
                self._hold(kept, f"the change of {key} was acknowledged and is nowhere")
        if request.leaving is not None:
            self._left(*request.leaving, request.created)
        for _, user in request.narrows:
            for seen in self.world.live.values():
                mine = seen.record.id in request.created
                later = seen.record.user_id != user or self._born_after(seen.record.id, request)
                self._hold(mine or later, f"{user} is still signed in after a logout everywhere")

    def _born_after(self, session_id: str, request: Request) -> bool:
        tag = tag_of(session_id)
        last = max((t for t, by in self.ended_at.get(tag, []) if by is request), default=0)
        return self.world.born.get(session_id, 0) > last

    def _left(self, session_id: str, user: str | None, own: set[str]) -> None:
        """Nothing of a session that was logged out is alive, nor what the same user had of it."""
        self._hold(session_id not in self.world.live, "a logout left the session alive")
        old, heir = session_id, self.heirs.get(session_id)
        # A sign-in after a logout is a new start; what merely replaced the session is not.
        while heir is not None and tag_of(heir) == tag_of(old) and user and old in self.replaced:
            alive = heir in self.world.live and heir not in own
            self._hold(not alive, "a logout left the successor alive")
            old, heir = heir, self.heirs.get(heir)

    def answered(self, request: Request, cookies: list[str], *, parting: bool) -> None:
        """A response leaves with these cookies."""
        for cookie in cookies:
            if "Max-Age=0" in cookie:
                self._judge_deletion(request, parting)
            else:
                self._judge_cookie(request, cookie)

    def _judge_cookie(self, request: Request, cookie: str) -> None:
        value = cookie.partition(";")[0].partition("=")[2]
        token = self.world.desk.signer.verify(value)
        self._hold(token is not None, "a cookie we cannot verify ourselves")
        assert token is not None
        ours = token.id in request.created or token.id == request.loaded_id
        self._hold(ours, "a cookie for a session that is not this request's")
        self._hold(token.id not in request.known_dead, "a loser's cookie for a dead session")

    def _judge_deletion(self, request: Request, parting: bool) -> None:
        x = request.x
        if request.ended or parting:
            return
        replaced = x.previous_end is not None and x.previous_end.value == "replaced"
        cleanup = x.dead and x.request.navigation and not replaced
        self._hold(cleanup, "a request deleted the cookie of a session it did not end")

    def took(self, request: Request, value: Any) -> None:
        """A one-time value was handed out."""
        if value != MISSING:
            twice = value in self.given and value not in self.copied
            self._hold(not twice, f"{value!r} was taken twice")
            self.given[value] = request
            request.taken.append(value)

    def refused(self, request: Request) -> None:
        """A sign-in was refused."""
        self._hold(request.login_as is not None, "a sign-in was refused where there was none")

    def _hold(self, condition: bool, message: str) -> None:
        if not condition:
            raise Broken(message)
