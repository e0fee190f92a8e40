"""Where sessions are kept: five stores, each usable in both colours and by several servers."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from openclaw_middleware import SessionManager, SessionSettings
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.driver import AsyncDriver, Driver
from openclaw_middleware.runtime import Runtime
from openclaw_middleware.stores.memory import AsyncMemoryStore, MemoryState, MemoryStore
from openclaw_middleware.stores.url import open_store
from openclaw_middleware.testing import Fault, wrap

from .sites import FlaskSite, StarletteDefSite, StarletteSite
from .sites_django import Django, DjangoAsyncSite, DjangoSite

SITES: dict[str, type[Any]] = {
    each.kind: each
    for each in (FlaskSite, StarletteSite, DjangoSite, DjangoAsyncSite, StarletteDefSite)
}
KINDS = ("flask", "starlette", "django", "django-async")
STORES = ("memory", "sqlite", "postgres", "mariadb", "redis")
SECRET = "tests only: q9Lm-3xZ7_Kd2sVb8Wn5Rt6yUc4pHj1"


class Place:
    """One store that several servers may share."""

    def __init__(self, name: str, url: str, namespace: str) -> None:
        self.name = name
        self.url = url
        self.namespace = namespace
        self.state = MemoryState()

    def settings(self, **settings: Any) -> SessionSettings:
        defaults = {"secret_key": SECRET, "namespace": self.namespace, "store_timeout": 20.0}
        return SessionSettings.for_tests(**{"store": self.url, **defaults, **settings})

    def store(self, colour: str, settings: SessionSettings, *faults: Fault) -> Any:
        """A store of that colour, with faults around it."""
        options = settings.store_options()
        if self.name == "memory":
            store: Any = (MemoryStore if colour == "sync" else AsyncMemoryStore)(
                options, state=self.state
            )
        else:
            store = open_store(self.url, options, colour)
        return wrap(store, *faults)

    def create_tables(self) -> None:
        manager = SessionManager(self.settings())
        manager.create_tables()
        manager.close()


class Sites:
    """Makes sites and closes them."""

    def __init__(self) -> None:
        self._opened: list[Any] = []

    def __call__(self, kind: str, place: Place, *faults: Fault, **settings: Any) -> Any:
        """A server of that framework on that store."""
        made = place.settings(**settings)
        store = place.store(SITES[kind].colour, made, *faults)
        return self.on(kind, place.settings(**{**settings, "store": store}))

    def on(self, kind: str, settings: SessionSettings) -> Any:
        if kind.startswith("django"):
            runtime: Runtime = Deployment(settings)
            self._opened.append(Django(runtime))
        else:
            runtime = Runtime(settings)
        site = SITES[kind](runtime)
        self._opened.append(site)
        return site

    def both_djangos(self, place: Place, *faults: tuple[Fault, ...], **settings: Any) -> list[Any]:
        """Both handlers of the process's one Django project, on a store of either colour.

        Args:
            faults: those of the blocking store, then those of the asyncio one.
        """
        made = place.settings(**settings)
        runtime = Deployment(made)
        runtime._blocking = Driver(place.store("sync", made, *faults[0]))
        runtime._asynchronous = AsyncDriver(place.store("async", made, *faults[1]))
        self._opened.append(Django(runtime))
        sites = [SITES[kind](runtime) for kind in ("django", "django-async")]
        self._opened += sites
        return sites

    def close(self) -> None:
        while self._opened:
            self._opened.pop().close()


def always_rotating(site: Any) -> Any:
    """The site, with a rotation due at every request and a grace that never ends.

    Servers judge by clocks of their own, so that no test could wait for an interval to the point;
    settings would refuse these two together.
    """
    rotate_always(site.runtime)
    return site


def rotate_always(runtime: Runtime, *, grace: float = 1e9) -> None:
    """The same for a bare runtime, with a grace of that many seconds; below 0 there is none."""
    desk = runtime.desk
    rules = replace(desk.rules, rotation_interval=1e-9, rotation_grace=grace)
    runtime.desk = replace(desk, rules=rules)


def fresh_user() -> str:
    return f"user {secrets.token_hex(6)}"
