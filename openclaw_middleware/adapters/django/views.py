"""Views that demand a recent sign-in: a decorator for functions, a mixin for classes.

What is demanded is the session's business, how it is answered the middleware's. Sync and async
views; under Django's own session middleware the answer is Django's 403.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

if TYPE_CHECKING:
    from .session import DjangoSession

V = TypeVar("V", bound=Callable[..., Any])


def require_recent(max_age: float | timedelta) -> Callable[[V], V]:
    """Decorate a view that demands a sign-in within the last `max_age` seconds.

    Whose sign-in is older is answered 401, or sent to `LOGIN_URL`. For a class, there is
    `RecentLoginMixin`.
    """

    def decorate(view: V) -> V:
        if iscoroutinefunction(view):

            @wraps(view)
            async def awaited(request: Any, *args: Any, **kwargs: Any) -> Any:
                await _ademand(request, max_age)
                return await view(request, *args, **kwargs)

            return cast("V", awaited)

        @wraps(view)
        def called(request: Any, *args: Any, **kwargs: Any) -> Any:
            _session(request).require_recent(max_age)
            return view(request, *args, **kwargs)

        return cast("V", called)

    return decorate


class RecentLoginMixin:
    """Before `View` among the bases: every method of the view demands a recent sign-in.

    Attributes:
        max_age: seconds or `timedelta` the sign-in may be old.

    Raises:
        TypeError: it stands behind `View`, which would never ask it.
    """

    max_age: ClassVar[float | timedelta] = 300

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        from django.views import View

        order = cls.__mro__
        if View in order and order.index(View) < order.index(RecentLoginMixin):
            raise TypeError(
                f"{cls.__qualname__} demands nothing: put RecentLoginMixin before the view among "
                "its bases"
            )

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Demand it, then go on."""
        above: Any = super()
        if getattr(self, "view_is_async", False):
            return self._adispatch(above.dispatch, request, *args, **kwargs)
        _session(request).require_recent(self.max_age)
        return above.dispatch(request, *args, **kwargs)

    async def _adispatch(self, go_on: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        await _ademand(request, self.max_age)
        return await go_on(request, *args, **kwargs)


async def _ademand(request: Any, max_age: float | timedelta) -> None:
    session = _session(request)
    await session.aload()
    session.require_recent(max_age)


def _session(request: Any) -> DjangoSession:
    from . import get_session

    return get_session(request)
