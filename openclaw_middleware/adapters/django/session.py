"""`request.session`: Django's calls and ours, and every a-prefixed twin of `SessionBase`.

A twin waits for the session once, then does as the plain call, which needs no store any more;
those that end in one have their own waiting. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, ValuesView
from datetime import datetime
from typing import Any, NoReturn

from django.contrib.sessions.backends.base import CreateError

from ...core.merge import MISSING
from ...core.state import State
from ...errors import SessionStateError
from ...manager import AsyncSessionManager
from . import conf, identity
from .lifetime import Expiry
from .plain import PlainSession


class DjangoSession(PlainSession):
    """One visitor's session in one request, with Django's API and ours.

    Differences from Django's sessions: `flush`, `cycle_key` and `delete` take effect when the
    response leaves (logout even if it is an error); `clear` drops the identity, too; nested
    changes are stored without `modified`; `session_key` is a public id that opens nothing.

    `_auth_user_backend` and `_auth_user_hash` are supplied for sign-ins made by other frameworks;
    they can be read, and are not among the items.
    """

    async def aload(self) -> DjangoSession:  # type: ignore[override]  # Django's answers a dict
        """`load`, awaited. Afterwards the plain calls work in an async view as well."""
        await super().aload()
        return self

    async def asave(self, must_create: bool = False) -> None:
        """`save`, awaited."""
        await super().aload()
        if must_create and not self.is_new:
            raise CreateError
        await super().asave()

    async def acreate(self) -> None:
        """`create`, awaited."""
        await super().aload()
        self.cycle_key()
        await super().asave()

    async def aexists(self, session_key: str) -> bool:
        """`exists`, awaited."""
        manager = AsyncSessionManager(self._deployment)
        return await manager.get(self._public(session_key)) is not None

    async def adelete(self, session_key: str | None = None) -> None:
        """`delete`, awaited."""
        await super().aload()
        if session_key is None or session_key == self.session_key:
            await self.aflush()
        else:
            await AsyncSessionManager(self._deployment).revoke(self._public(session_key))

    async def aflush(self) -> None:
        """`flush`, awaited."""
        if not self._x.loaded and self._x.failure is None:
            await self._adriver("load").load(self._x)
        self.flush()

    async def acycle_key(self) -> None:
        """`cycle_key`, awaited."""
        await super().aload()
        self.cycle_key()

    @classmethod
    async def aclear_expired(cls) -> None:
        """`clear_expired`, awaited."""
        manager = AsyncSessionManager(conf.runtime())
        while await manager.purge_expired(1000) >= 1000:
            pass

    # -- the mapping

    async def aget(self, key: str, default: Any = None) -> Any:
        """`get`, awaited."""
        await super().aload()
        if key == identity.HASH_KEY:
            await self._await_hash()
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        """`session[key] = value`, awaited."""
        await super().aload()
        self[key] = value

    async def apop(self, key: str, default: Any = MISSING) -> Any:
        """`pop`, awaited."""
        await super().aload()
        return self.pop(key) if default is MISSING else self.pop(key, default)

    async def asetdefault(self, key: str, value: Any) -> Any:
        """`setdefault`, awaited."""
        await super().aload()
        return self.setdefault(key, value)

    async def aupdate(self, dict_: Any) -> None:
        """`update`, awaited."""
        await super().aload()
        self.update(dict_)

    async def ahas_key(self, key: str) -> bool:
        """`key in session`, awaited."""
        await super().aload()
        return key in self

    async def akeys(self) -> KeysView[str]:  # type: ignore[override]  # a dict's own
        """`keys`, awaited."""
        await super().aload()
        return self.keys()

    async def avalues(self) -> ValuesView[Any]:  # type: ignore[override]  # a dict's own
        """`values`, awaited."""
        await super().aload()
        return self.values()

    async def aitems(self) -> ItemsView[str, Any]:  # type: ignore[override]  # a dict's own
        """`items`, awaited."""
        await super().aload()
        return self.items()

    # -- expiry

    async def aset_expiry(self, value: Expiry) -> None:
        """`set_expiry`, awaited."""
        await super().aload()
        self.set_expiry(value)

    async def aget_expiry_age(self, **kwargs: Any) -> int:
        """`get_expiry_age`, awaited."""
        await super().aload()
        return self.get_expiry_age(**kwargs)

    async def aget_expiry_date(self, **kwargs: Any) -> datetime:
        """`get_expiry_date`, awaited."""
        await super().aload()
        return self.get_expiry_date(**kwargs)

    async def aget_expire_at_browser_close(self) -> bool:
        """`get_expire_at_browser_close`, awaited."""
        await super().aload()
        return self.get_expire_at_browser_close()

    # -- the test cookie

    async def aset_test_cookie(self) -> None:
        """`set_test_cookie`, awaited."""
        await super().aload()
        self.set_test_cookie()

    async def atest_cookie_worked(self) -> bool:
        """`test_cookie_worked`, awaited."""
        await super().aload()
        return self.test_cookie_worked()

    async def adelete_test_cookie(self) -> None:
        """`delete_test_cookie`, awaited."""
        await super().aload()
        self.delete_test_cookie()

    # -- help

    async def _await_hash(self) -> None:
        """Look up the hash Django will ask for, where no sign-in of Django's left one."""
        user_id = self.user_id
        lacking = identity.HASH_KEY not in self._state().data.data and self._names_a_user()
        if self._hash is None and user_id is not None and lacking:
            self._hash = await identity.asession_hash(user_id)


class SkippedSession(DjangoSession):
    """The session of a path under `skip_paths`: always empty, never stored.

    Django's own middleware and context processors insist on `request.session`.
    """

    def _writable(self) -> State:
        self._refuse()

    def _before_start(self, verb: str, state: State | None = None) -> State:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise SessionStateError("there is no session here: skip_paths covers this path")
