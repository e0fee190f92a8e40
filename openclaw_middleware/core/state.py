"""What one request knows of its session and what it wants done: identity, data, intents.

The application's calls only change this object; the commit reads it. No I/O, no clock, no
cookie here.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CodecError
from .areas import Lapse
from .changes import Encode, TrackedData
from .merge import Report
from .record import EndReason, Record
from .token import Token

if TYPE_CHECKING:
    from .unanswered import Unanswered

Content = tuple[dict[str, Any], dict[str, Any]]


class Mint(Protocol):
    """Makes an unguessable token in the shard of a user (None: anonymous)."""

    def __call__(self, user_id: str | None) -> Token: ...


@dataclass(frozen=True, slots=True)
class Draft:
    """The identity the next commit gives the session.

    Attributes:
        login: a sign-in, as opposed to a mere new id or a dropped identity.
        verified_at: epoch seconds by this process's clock when the credentials were checked;
            None for the start of the request.
    """

    token: Token
    user_id: str | None
    login: bool = False
    policy: str | None = None
    verified_at: float | None = None
    claims: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class UserIntent:
    """End the sessions of a user, all or all but the one this request ends up with.

    Attributes:
        own: the session this request came with, where it is to end with the others.
    """

    user_id: str
    others_only: bool
    own: Record | None = None


class State:
    """The working state of one session in one request.

    Attributes:
        record: the live, verified record this request stands on, or None.
        draft: a new identity waiting for the commit.
        ending: why the record ends at commit even if nothing succeeds it; None while it stays.
        detached: the data no longer derive from the record (logout, clear, another user).
        policy: name of the policy to move the limits to, None for no change.
        custom_idle: seconds, the session's own idle limit where the policy is a custom one.
        custom_absolute: seconds from the start of the request to its own fixed end, if any.
        unanswered: a write that may have taken place; it is sent again before any other.
        taking: value and record, by key, of each `take` that may have taken place.
        users, end_others: wishes about other sessions; they outlive changes of identity.
        judged: how the record fell short of the request's area when it was loaded, or None.
    """

    __slots__ = (
        "_data",
        "_encode",
        "_mint",
        "_read",
        "_spare",
        "custom_absolute",
        "custom_idle",
        "detached",
        "draft",
        "end_others",
        "ending",
        "judged",
        "keep_alive",
        "meta",
        "policy",
        "record",
        "save_empty",
        "taking",
        "unanswered",
        "users",
    )

    def __init__(self, mint: Mint, encode: Encode) -> None:
        self._mint = mint
        self._encode = encode
        self._data: TrackedData | None = None
        self._read: Callable[[], Content] | None = None
        self._spare: Token | None = None
        self.record: Record | None = None
        self.meta: dict[str, Any] = {}
        self.draft: Draft | None = None
        self.ending: EndReason | None = None
        self.detached = False
        self.policy: str | None = None
        self.custom_idle: float | None = None
        self.custom_absolute: float | None = None
        self.keep_alive = False
        self.save_empty = False
        self.unanswered: Unanswered | None = None
        self.taking: dict[str, tuple[Any, Record]] = {}
        self.users: list[UserIntent] = []
        self.end_others: list[tuple[str, str]] = []
        self.judged: Lapse | None = None

    @property
    def lapse(self) -> Lapse | None:
        """How the session falls short of the request's area; None after a sign-in or sign-out."""
        judged, record = self.judged, self.record
        if judged is None or record is None or self.detached:
            return None
        if self.draft is not None and self.draft.login:
            return None
        return judged if record.authenticated_at == judged.authenticated_at else None

    @property
    def data(self) -> TrackedData:
        """The data, decoded on first use."""
        if self._data is None:
            read = self._read
            if read is None:
                self._data = TrackedData(self._encode)
            else:
                try:
                    self.meta = read()[1]
                    self._data = TrackedData(self._encode, lambda: read()[0])
                except CodecError:
                    # Its tag was good, its content is not readable here: anonymous, and the
                    # record is left as it is for whoever can read it.
                    self.become_anonymous()
                    self._data = TrackedData(self._encode)
        return self._data

    @property
    def decoded(self) -> bool:
        """Whether anybody looked at the data yet."""
        return self._data is not None

    @property
    def user_id(self) -> str | None:
        """Whose session it is now, counting what this request has changed."""
        if self.judged is not None and self.lapse is not None and self.judged.veiled:
            return None
        if self.draft is not None:
            return self.draft.user_id
        if self.detached or self.record is None:
            return None
        return self.record.user_id

    @property
    def spare_token(self) -> Token:
        """The token of an anonymous session that is not stored yet."""
        if self._spare is None:
            self._spare = self._mint(None)
        return self._spare

    @property
    def id(self) -> str:
        """The public id the session has, or will have once it is stored."""
        if self.draft is not None:
            return self.draft.token.id
        if self.detached or self.record is None:
            return self.spare_token.id
        return self.record.id

    def stand_on(
        self, record: Record, read: Callable[[], Content], data: TrackedData | None = None
    ) -> None:
        """Make a stored record the ground; what was wanted of the session itself is done.

        Args:
            record: live and verified.
            read: decodes its content anew at each call.
            data: the data at hand, already rebased on it; None to decode on first use.
        """
        meta = self.meta
        self.become_anonymous()
        self.record = record
        self._read = read
        if data is not None:
            self._data = data
            self.meta = meta

    def touched(self, last_active_at: float) -> None:
        """The idle clock was started anew at this time (epoch seconds)."""
        if self.record is not None:
            self.record = replace(self.record, last_active_at=last_active_at)

    def become_anonymous(self) -> None:
        """Forget the record and all changes; wishes about other sessions stay."""
        self.record = None
        self._read = None
        self._data = None
        self._spare = None
        self.meta = {}
        self.draft = None
        self.ending = None
        self.detached = False
        self.policy = None
        self.custom_idle = None
        self.custom_absolute = None
        self.keep_alive = False
        self.save_empty = False

    def lose_record(self, *, keep_data: bool) -> None:
        """The record is over; a sign-in still takes place.

        Args:
            keep_data: the data at hand are not the record's, so that they stay.
        """
        draft, data, spare = self.draft, self._data, self._spare
        self.become_anonymous()
        if draft is not None and draft.login:
            self.draft = draft
        if keep_data:
            self._data, self._spare = data, spare

    def twin(self, data: TrackedData, meta: dict[str, Any]) -> State:
        """A copy of this state with data of its own."""
        twin = copy(self)
        twin._data = data
        twin.meta = meta
        return twin

    def leave(self, data: TrackedData) -> None:
        """The record is not what these data derive from: it was left while it was written."""
        self.detached = True
        self.meta = {}
        self._data = data

    def keep_only_changes(self, dropped: Report) -> None:
        """Data of a record that is gone are dropped; what this request wrote stays.

        Args:
            dropped: called with each change inside something that is gone.
        """
        kept = self.data.replay({}, dropped)
        self._data = TrackedData(self._encode)
        for key, value in kept.items():
            self._data.set(key, value)

    def login(self, draft: Draft, *, keep_data: bool) -> None:
        """Take on a new identity at commit; earlier wishes to end it spare the new session."""
        if not keep_data:
            self._detach()
        else:
            _ = self.data
        self.users = [
            UserIntent(intent.user_id, True) if intent.user_id == draft.user_id else intent
            for intent in self.users
        ]
        self.draft = draft
        self.policy = None

    def regenerate(self) -> None:
        """Take a new id and token at commit, keeping identity, data and limits."""
        if self.draft is None and self.record is not None and not self.detached:
            self.draft = Draft(self._mint(self.record.user_id), self.record.user_id)

    def drop_identity(self) -> None:
        """Become anonymous under a new id, keeping the data (the identity key was removed)."""
        _ = self.data
        if self.record is not None and not self.detached:
            self.ending = EndReason.SIGNED_OUT
        self.draft = Draft(self._mint(None), None)

    def logout(self) -> None:
        """End the session; what is written from here on belongs to a fresh anonymous one."""
        if self.record is not None and self.ending is None:
            self.ending = EndReason.SIGNED_OUT
        self.draft = None
        self.policy = None
        self._detach()

    def _detach(self) -> None:
        self.detached = self.record is not None
        self.meta = {}
        self._data = TrackedData(self._encode)
        self._spare = None
