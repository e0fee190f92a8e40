"""What a Flask application holds: `flask.session` as our session, and as templates see it.

Names Flask and its extensions expect of a session are here; loading, saving and configuration
are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from datetime import datetime
from typing import Any

from flask import session as flask_session
from flask.sessions import NullSession, SecureCookieSession, SessionMixin

from ..core.policy import CUSTOM_PERSISTENT
from ..errors import ConfigurationError
from ..session import Session
from .flask_config import PERMANENT
from .flask_remembered import Remembered


class FlaskSession(Remembered, SessionMixin):
    """A `Session` with the members of Flask's `SessionMixin`, and `sid`."""

    @property
    def permanent(self) -> bool:
        """Whether the cookie outlives the browser.

        Setting it to True moves the session to the policy "permanent" (where the project set
        PERMANENT_SESSION_LIFETIME) or "remember"; to False, back to "default". A sign-in keeps it.
        """
        name = self._policy_name()
        policy = self._x.rules.policies.get(name)
        return name == CUSTOM_PERSISTENT or (policy is not None and policy.persistent)

    @permanent.setter
    def permanent(self, value: bool) -> None:
        if bool(value) != self.permanent:
            self.use_policy(self._permanent_policy if value else "default")

    @property
    def new(self) -> bool:  # type: ignore[override]  # a plain attribute of the mixin
        """No stored session stands behind this one (yet)."""
        return self.is_new

    @property
    def sid(self) -> str:
        """The public id, under the name other Flask extensions use."""
        return self.id

    @property
    def modified(self) -> bool:
        """This request has changed something. Setting it is allowed and not needed: changes are
        found by comparison, nested ones too."""
        return Session.modified.fget(self)  # type: ignore[attr-defined, no-any-return]

    @modified.setter
    def modified(self, value: bool) -> None:
        self._x.accessed = True

    @property
    def accessed(self) -> bool:
        """The application has looked at the session; Flask sets it when `session` is used."""
        return self._x.accessed

    @accessed.setter
    def accessed(self, value: bool) -> None:
        # What was used was used: taking it back would cancel the commit.
        self._x.accessed = self._x.accessed or bool(value)

    def login(
        self,
        user_id: object,
        *,
        remember: bool = False,
        policy: str | None = None,
        claims: Mapping[str, Any] | None = None,
        keep_data: bool | None = None,
        verified_at: float | datetime | None = None,
    ) -> None:
        """See `Session.login`; a session that was made permanent stays so."""
        if policy is None and not remember and self.permanent:
            policy = self._permanent_policy
        super().login(
            user_id,
            remember=remember,
            policy=policy,
            claims=claims,
            keep_data=keep_data,
            verified_at=verified_at,
        )

    @property
    def _permanent_policy(self) -> str:
        return PERMANENT if PERMANENT in self._x.rules.policies else "remember"

    def _policy_name(self) -> str:
        """The policy the session is under, counting what this request has asked for."""
        state = self._loaded()
        if state.policy is not None:
            return state.policy
        record = None if state.detached else state.record
        draft = state.draft
        if draft is None or (record is not None and not draft.login):
            return record.policy if record is not None else "default"
        return draft.policy or "default"


class NoSession(NullSession):
    """What `flask.session` is on a path that `skip_paths` covers: empty, and refuses writing."""

    def _refuse(self, *args: Any, **keywords: Any) -> Any:
        raise ConfigurationError("there is no session here: skip_paths covers this path")

    __setitem__ = __delitem__ = clear = pop = popitem = update = setdefault = _refuse


# What a template finds as an attribute of Flask's own session.
_NATIVE = frozenset(dir(SecureCookieSession))


class TemplateSession(MutableMapping[str, Any]):
    """`session` in templates: the current one, where `session.name` finds the application's keys.

    Jinja looks for attributes before keys. Names that only our session has (`user_id`, `id`,
    `info`) would hide keys which the application's templates already use.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in _NATIVE and name in flask_session:
            return flask_session[name]
        found = getattr(flask_session, name)
        if found is None:
            # Nothing is shown for it, as for a key that is not there; not the word "None".
            raise AttributeError(name)
        return found

    def __getitem__(self, key: str) -> Any:
        return flask_session[key]

    def __setitem__(self, key: str, value: Any) -> None:
        flask_session[key] = value

    def __delitem__(self, key: str) -> None:
        del flask_session[key]

    def __iter__(self) -> Iterator[str]:
        return iter(flask_session)

    def __len__(self) -> int:
        return len(flask_session)

    def __contains__(self, key: object) -> bool:
        return key in flask_session

    def __repr__(self) -> str:
        return repr(flask_session)
