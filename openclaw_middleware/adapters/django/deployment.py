"""One Django project's sessions at work: a `Runtime` with Django's stores and its two levels.

How it follows from Django's settings is in `conf`; what a request does with it in `middleware`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType

from django.conf import settings as django_settings
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch

from ...config import SessionSettings
from ...core.desk import Desk
from ...core.events import Listener
from ...core.policy import Policy, Rules
from ...runtime import Runtime, make_desk
from ...stores.base import AsyncStore, Store
from ...stores.memory import AsyncMemoryStore, MemoryState, MemoryStore

DJANGO_SCHEME = "django:"

# By URL and namespace: with override_settings, as with a database, sessions stay where they are.
_memories: dict[tuple[str, str], MemoryState] = {}


class Deployment(Runtime):
    """One deployment at work.

    Args:
        settings: validated settings.
        persistent: the cookie of the default policy outlives the browser.
        listeners: called with every event.
        desk: replaces the desk built from the settings.
        clock: tests only: epoch seconds that replace this process's clocks.
    """

    def __init__(
        self,
        settings: SessionSettings,
        *,
        persistent: bool = False,
        listeners: Iterable[Listener] = (),
        desk: Desk | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        desk = desk or make_desk(settings)
        if persistent:
            desk = replace(desk, rules=with_persistent_default(desk.rules))
        super().__init__(settings, listeners=listeners, desk=desk, clock=clock)

    @cached_property
    def engine_desk(self) -> Desk:
        """The desk of the engine level, where a superseded save must not pass for a success and
        nothing could bring a rotated secret to the browser."""
        rules = replace(self.desk.rules, on_ended="error", rotation_interval=None)
        return replace(self.desk, rules=rules)

    def sign_in_page(self) -> str | None:
        """The `LOGIN_URL` of `OPENCLAW`, else Django's, which may be the name of a route."""
        if self.settings.login_url is not None:
            return self.settings.login_url
        try:
            return resolve_url(django_settings.LOGIN_URL)
        except NoReverseMatch:
            return None

    def _open_blocking(self) -> Store:
        source = self.settings.store
        if _is(source, DJANGO_SCHEME):
            from .store import open_blocking

            return open_blocking(source.removeprefix(DJANGO_SCHEME), self.options)
        if _is(source, "memory:"):
            return MemoryStore(self.options, state=self._memory())
        return super()._open_blocking()

    def _open_asynchronous(self) -> AsyncStore:
        source = self.settings.store
        if _is(source, DJANGO_SCHEME):
            from .store import open_asynchronous

            return open_asynchronous(source.removeprefix(DJANGO_SCHEME), self.options)
        if _is(source, "memory:"):
            return AsyncMemoryStore(self.options, state=self._memory())
        return super()._open_asynchronous()

    def _memory(self) -> MemoryState:
        key = (self.settings.store, self.options.namespace)
        if key not in _memories:
            opened = super()._open_blocking()
            assert isinstance(opened, MemoryStore)  # noqa: S101  # what memory:// opens
            _memories[key] = opened.state
        return _memories[key]


def _is(source: object, scheme: str) -> bool:
    return isinstance(source, str) and source.startswith(scheme)


def with_persistent_default(rules: Rules) -> Rules:
    """The rules with a default policy whose cookie outlives the browser."""
    default = rules.policies["default"]
    kept = Policy(default.idle, default.absolute, persistent=True)
    return replace(rules, policies=MappingProxyType({**rules.policies, "default": kept}))
