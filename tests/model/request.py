"""One request under way: what the application does in it, and its bodies cut into store calls.

A request goes through the stages "load", "app", "commit", "touch" and, when its response is a
stream, "app" once more; then it is "over". Only `World` performs the calls.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from openclaw_middleware import Session
from openclaw_middleware.core.commit import Commit
from openclaw_middleware.core.contest import Contest
from openclaw_middleware.core.events import ChangesDropped, Collided, Event
from openclaw_middleware.core.exchange import Exchange
from openclaw_middleware.core.record import Record
from openclaw_middleware.core.request import RequestInfo
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.core.take import reload, take
from openclaw_middleware.errors import ResponseStarted, StoreError

from .effects import MISSING, Data, Effect, Journal
from .stepping import Deferred, Run, pause

if TYPE_CHECKING:
    from .world import Browser, World


class Request:
    """Everything the model knows of one request.

    Attributes:
        began: the world's tick at the start.
        genuine: the token was not forged by the test.
        loaded: the record it was told of; `seen` the data last told of,
            `seen_of` whose they were.
        leaving: id of the record its logout must end, and whose it is.
        detached: what is written from here on does not derive from the stored data.
        login_as: the user it signs in, if it does.
        created, ended: ids its store calls made and ended, answers lost or not.
        known_dead: ids the store has told it to be over.
        told: events emitted while its code ran, since its last commit.
        patient: its application goes on when a save comes to nothing, as far as it knows;
            `waiting`: it did, and does nothing but save, look and finish until it is told.
    """

    def __init__(self, world: World, browser: Browser, number: int, **info: Any) -> None:
        self.world, self.browser, self.number = world, browser, number
        self.began = world.tick
        self.presented = browser.cookie
        name = world.desk.cookie.name
        cookies = f"{name}={browser.cookie}" if browser.cookie else ""
        self.x = Exchange(world.desk, RequestInfo(cookies=cookies, **info))
        self.x.store = Deferred()
        self.session = Session(self.x, None, None)
        self.journal = Journal()
        self.told: list[Event] = []
        self.all_told: list[Event] = []
        self.stage = "load"
        self.genuine = True
        self.loaded: Record | None = None
        self.seen: Data = {}
        self.seen_of: Record | None = None
        self.leaving: tuple[str, str | None] | None = None
        self.narrows: list[tuple[str, str | None]] = []
        self.detached = False
        self.login_as: str | None = None
        self.policy = False
        self.created: set[str] = set()
        self.ended: set[str] = set()
        self.known_dead: set[str] = set()
        self.taking: str | None = None
        self.taken: list[Any] = []
        self.patient = self.waiting = False
        self.failed = False
        self.broken: BaseException | None = None
        self.streams = False
        self.landed = 0
        self.run: Run | None = None
        self._count = 0

    def __repr__(self) -> str:
        return f"Request({self.number}, {self.stage})"

    # -- stages

    def start(self, name: str, body: Any) -> None:
        """Begin a body; it waits at its first store call, or is over at once."""
        with self.world.speaking(self):
            self.run = Run(name, body)
        self.world.settle(self)

    @property
    def loaded_id(self) -> str | None:
        """Id of the record it was told of."""
        return self.loaded.id if self.loaded else None

    @property
    def loaded_user(self) -> str | None:
        """Whose it was."""
        return self.loaded.user_id if self.loaded else None

    def load(self) -> None:
        """Present the cookie."""
        self.start("load", self.x.load())

    def commit(self, *, failed: bool = False, streams: bool = False) -> None:
        """The handler has returned."""
        self.failed = failed or self.broken is not None
        self.landed = self.journal.landed
        self.streams = streams and not self.failed and not self.x.started
        self._commit(self.failed)

    def save(self, *, patient: bool = False) -> None:
        """Commit in mid-request."""
        if not self.waiting and not self.accessible():
            return
        self.patient = patient
        try:
            self.session._mark_explicit()
        except (ResponseStarted, StoreError):
            return
        self._commit(False, "save")

    def _commit(self, failed: bool, name: str = "commit") -> None:
        with self.world.speaking(self):
            commit = Commit(self.x, failed=failed, pause=pause)
            due = self.x.accessed and commit.due
        self.stage = "commit"
        self.start(name, commit.run() if due else _nothing())

    def take(self, key: str) -> None:
        """Ask for a one-time value."""
        if not self.accessible():
            return
        try:
            self.session._writable()
        except (ResponseStarted, StoreError):
            return
        if key in self.journal.effects:
            # What it would mean to take a value under one's own change is not asked here.
            return
        self.taking = key
        self.stage = "commit"
        self.start("take", take(self.x, key, MISSING, Contest(self.x, pause)))

    def reload(self) -> None:
        """Look afresh."""
        if not self.waiting and not self.accessible():
            return
        self.stage = "commit"
        self.start("reload", reload(self.x, pause))

    def committed(self) -> None:
        """A commit was acknowledged: what was wanted is done."""
        if not (self.x.state.decoded and self.x.state.data.changed()):
            self.journal = Journal()
        # Else the changes stay in the application's hands, and go into a new session of its own.
        self.told = []
        self.waiting = False
        self.detached = False
        self.login_as = None
        self.policy = False
        self.leaving = None
        self.narrows = []

    def looked(self) -> None:
        """A fresh look is over: what is stored may be further on than it was."""
        for key, effect in self.journal.effects.items():
            effect.known = self._stored().get(key, MISSING)

    # -- what the application does

    @property
    def user(self) -> str | None:
        """Who this request believes to be signed in."""
        return self.x.state.user_id

    def accessible(self) -> bool:
        """Whether the session could be loaded; a handler that meets an outage fails."""
        if self.broken is not None or self.waiting:
            return False
        try:
            with self.world.speaking(self):
                self.session._state()
        except StoreError as error:
            self.broken = error
            return False
        return True

    def read(self) -> None:
        """Look at everything."""
        if self.accessible():
            with self.world.speaking(self):
                self.session.to_dict()

    def change(self, kind: str, key: str) -> None:
        """Do one thing to one key; a key is used in one way only within a request."""
        if not self.accessible() or not self._may_write():
            return
        known = self.journal.effects.get(key)
        if known is not None and (known.kind != kind or kind == "delete"):
            return
        with self.world.speaking(self):
            self._change(kind, key, known)

    def _may_write(self) -> bool:
        try:
            self.session._writable()
        except ResponseStarted:
            return False
        return True

    def _change(self, kind: str, key: str, known: Effect | None) -> None:
        session = self.session
        present = key in session
        if kind == "delete" and not present:
            return
        effect = known
        if effect is not None and not present:
            # A fresh look has shown that the key is gone: it is made anew.
            effect.base = MISSING
        if effect is None:
            stored = {} if self.detached else self._stored()
            was = deepcopy(session[key]) if present else MISSING
            effect = Effect(kind, stored.get(key, MISSING), was)
        self._count += 1
        value = f"{self.number}.{self._count}"
        if kind == "set":
            session[key] = effect.mine = value
        elif kind == "delete":
            del session[key]
        elif kind == "add":
            session.apply(key, lambda n: n + 1, default=0)
            effect.mine = (effect.mine or 0) + 1
        elif kind == "mark":
            effect.mine = {*(effect.mine or ()), value}
            if present:
                session[key].add(value)
            else:
                session[key] = set(effect.mine)
        elif kind == "push":
            effect.mine = [*(effect.mine or []), value]
            if present and self._count % 2:
                session[key].append(value)
            else:
                values = session.get(key, [])
                values.append(value)
                session[key] = values
                effect.whole = True
        else:
            effect.mine = {**(effect.mine or {}), f"m{self.number}": value}
            if present:
                session[key][f"m{self.number}"] = value
            else:
                session[key] = dict(effect.mine)
        self.journal.effects[key] = effect

    def _stored(self) -> Data:
        return {} if self.x.state.record is None else self.x.state.data.base()

    def login(self, user: str) -> None:
        """Sign in."""
        if not self.accessible() or self.x.started:
            return
        with self.world.speaking(self):
            if self.user not in (None, user):
                self._detach()
            self.session.login(user)
        self.login_as = user
        self.policy = False

    def logout(self) -> None:
        """Sign out; what is written afterwards is a farewell."""
        if not self.accessible():
            return
        with self.world.speaking(self):
            self._leave()
            self.session.logout()
            self._detach()

    def _leave(self) -> None:
        record = self.x.state.record
        if record is not None:
            self.leaving = (record.id, record.user_id)
        self.login_as = None
        self.policy = False

    def _detach(self) -> None:
        self.detached = True
        self.journal = Journal()

    def end_user(self, *, others: bool) -> None:
        """Sign out everywhere, or everywhere else."""
        if not self.accessible() or self.user is None:
            return
        with self.world.speaking(self):
            if others:
                self.session.logout_others()
            else:
                user = self.user
                self._leave()
                self.session.logout_everywhere()
                self._detach()
                self.narrows.append(("everywhere", user))

    def end_other(self, session_id: str) -> None:
        """Sign out another device."""
        own = {self.x.state.id, self.loaded_id, *self.created}
        if not self.accessible() or self.user is None or session_id in own:
            return
        with self.world.speaking(self):
            self.session.end_other(session_id)

    def regenerate(self) -> None:
        """Ask for a new id."""
        if self.accessible() and not self.x.started:
            with self.world.speaking(self):
                self.session.regenerate()

    def keep_alive(self) -> None:
        """Start the idle clock anew."""
        if self.accessible():
            self.session.keep_alive()

    def use_policy(self, name: str) -> None:
        """Move the limits."""
        if self.accessible() and self._may_write():
            with self.world.speaking(self):
                self.session.use_policy(name)
            self.policy = True

    # -- what it was told

    def declared(self, key: str) -> bool:
        """Whether an event owned up to a change of this key that did not happen as asked."""
        for event in self.told:
            if isinstance(event, ChangesDropped) and key in event.keys:
                return True
            if isinstance(event, Collided) and any(
                path.split(".")[0] == key for path in event.paths
            ):
                return True
        return False


def _nothing() -> Steps[None]:
    yield from ()
