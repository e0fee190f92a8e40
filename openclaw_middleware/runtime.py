"""Everything one deployment needs, built once from its settings: rules, keys, codecs, stores.

Drivers, adapters and managers of the same settings share one runtime, and with it one pool and
one memory store. Stores are opened on first use, in the colour that is asked for.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from .client import ClientInfo, Header
from .codecs.compression import ZlibCompressor, ZstdCompressor
from .codecs.encryption import AesGcmRing
from .codecs.json import JsonCodec
from .codecs.msgpack import MsgpackCodec
from .config import SessionSettings
from .core.desk import Desk
from .core.envelope import Sealer
from .core.events import Events, Listener
from .core.exchange import Exchange
from .core.keys import derive
from .core.policy import Policy
from .core.request import RequestInfo
from .driver import AsyncDriver, Driver
from .errors import MissingDependency
from .heartbeat import Heartbeat
from .plain_http import PlainHttpNotice
from .session import Session
from .sign_in import is_page, paths_ahead, sign_in_address
from .signing import TokenSigner
from .stores.base import AsyncStore, Store
from .stores.memory import AsyncMemoryStore, MemoryStore
from .stores.url import open_store
from .watch import Watch, Watches

PASSIVE_HEADER = "x-session-passive"
"""Sent by a page with a request that nobody asked for, such as polling."""


class Runtime:
    """One deployment at work.

    Args:
        settings: validated settings.
        listeners: called with every event.
        desk: replaces the desk built from the settings.
        clock: tests only: epoch seconds that replace this process's clocks, and the memory or
            SQLite store's; engines with a clock of their own keep it.
    """

    def __init__(
        self,
        settings: SessionSettings,
        *,
        listeners: Iterable[Listener] = (),
        desk: Desk | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.settings = settings
        self.options = settings.store_options()
        self.desk = desk or make_desk(settings)
        if clock is not None:
            self.desk = replace(self.desk, wall=clock, monotonic=clock)
            self.options = replace(self.options, clock=clock)
        self.events = self.desk.events
        self.events.add(listeners)
        self.client = ClientInfo(settings.client_info, settings.trusted_proxies)
        self.skip = _Paths(settings.skip_paths)
        self.passive = _Paths(settings.passive_paths)
        self.plain_http = PlainHttpNotice()
        self.heartbeat = Heartbeat(settings, self.client) if settings.enable_heartbeat else None
        self._watches = Watches()
        self._lock = threading.RLock()
        self._blocking: Driver | None = None
        self._asynchronous: AsyncDriver | None = None

    @property
    def blocking(self) -> Driver:
        """The blocking driver on its store."""
        if self._blocking is None:
            with self._lock:
                if self._blocking is None:
                    self._blocking = Driver(self._open_blocking())
        return self._blocking

    @property
    def asynchronous(self) -> AsyncDriver:
        """The asyncio driver on its store."""
        if self._asynchronous is None:
            with self._lock:
                if self._asynchronous is None:
                    self._asynchronous = AsyncDriver(self._open_asynchronous())
        return self._asynchronous

    def _open_blocking(self) -> Store:
        if self._asynchronous is not None and isinstance(
            self._asynchronous.store, AsyncMemoryStore
        ):
            return MemoryStore(self.options, state=self._asynchronous.store.state)
        return open_store(self.settings.store, self.options, "sync")

    def _open_asynchronous(self) -> AsyncStore:
        if self._blocking is not None and isinstance(self._blocking.store, MemoryStore):
            return AsyncMemoryStore(self.options, state=self._blocking.store.state)
        return open_store(self.settings.store, self.options, "async")

    def watch(self) -> Watch:
        """What watches the sessions held open in the running event loop."""
        return self._watches.here(
            lambda: Watch(self.asynchronous.store, self.desk, self.settings.socket_poll_interval)
        )

    def exchange(
        self,
        cookies: str,
        path: str,
        method: str,
        header: Header,
        peer: str | None = None,
        query: str = "",
        mount: str = "",
    ) -> Exchange | None:
        """The exchange of one request, None where `skip_paths` says there is no session.

        Args:
            cookies: the `Cookie` header, several joined by "; ".
            path: with `mount` in front, or without where a proxy took it away.
            header: looks up a request header by lower-case name.
            peer: address the connection came from.
            query: the query string, without its question mark.
            mount: where the application hangs: what URLs of it begin with.
        """
        if mount:
            mount = mount.rstrip("/")
            path = path if f"{path}/".startswith(f"{mount}/") else mount + path
        if path in self.skip:
            return None
        client = self.client.read(header, peer) if self.client.level != "none" else None
        sign_in = partial(self._sign_in, path, query, method, header)
        if not cookies:
            info = RequestInfo(client=client, path=path, mount=mount, sign_in=sign_in)
            return Exchange(self.desk, info)
        area, veiled = self._area(path, query) if self.desk.rules.areas else (None, False)
        request = RequestInfo(
            cookies,
            passive=self._is_passive(path, method, header),
            navigation=header("sec-fetch-dest") == "document",
            client=client,
            area=area,
            veiled=veiled,
            path=path,
            mount=mount,
            sign_in=sign_in,
        )
        return Exchange(self.desk, request)

    def passive_exchange(self, cookies: str) -> Exchange:
        """The exchange of a request that is nobody's activity, whatever its path."""
        return Exchange(self.desk, RequestInfo(cookies, passive=True))

    def sign_in_page(self) -> str | None:
        """Address of the page where people sign in, None if it is not known."""
        return self.settings.login_url

    def _sign_in(self, path: str, query: str, method: str, header: Header) -> str | None:
        page = self.sign_in_page()
        return None if page is None else sign_in_address(page, path, query, method, header)

    def _area(self, path: str, query: str) -> tuple[Policy | None, bool]:
        """What is asked on a path, and whether who falls short of it is only shown as signed out.

        On the sign-in page nothing is asked. But who was sent there by an area is nobody yet: a
        page that sends people on who are signed in would send them in circles.
        """
        areas = self.desk.rules.areas
        area = areas.of(path)
        ahead = paths_ahead(query) if "next=" in query else []
        if area is None and not ahead:
            return None, False
        page = self.sign_in_page()
        if page is None or not is_page(page, path):
            return area, False
        return next(filter(None, map(areas.of, ahead)), None), True

    def _is_passive(self, path: str, method: str, header: Header) -> bool:
        # Whoever sends the header makes their own session end sooner, and nobody's later.
        if method == "OPTIONS" or path in self.passive or header(PASSIVE_HEADER) is not None:
            return True
        purpose = header("sec-purpose") or header("purpose") or ""
        return "prefetch" in purpose or "preview" in purpose

    def session(
        self, exchange: Exchange, *, blocking: bool = False, asynchronous: bool = False
    ) -> Session:
        """The application's view of an exchange, able to do I/O in the given colours."""
        return Session(
            exchange,
            self.blocking if blocking else None,
            self.asynchronous if asynchronous else None,
        )


class _Paths:
    """Path prefixes that end at a slash or at the end of the path."""

    def __init__(self, prefixes: Sequence[str]) -> None:
        self._exact = frozenset(prefixes)
        self._below = tuple(each if each.endswith("/") else each + "/" for each in prefixes)

    def __contains__(self, path: str) -> bool:
        return bool(self._below) and (path in self._exact or path.startswith(self._below))


def make_desk(
    settings: SessionSettings,
    events: Events | None = None,
    *,
    random: Callable[[int], bytes] | None = None,
    wall: Callable[[], float] | None = None,
    monotonic: Callable[[], float] | None = None,
) -> Desk:
    """The desk the settings describe; tests hand in time and randomness."""
    keys = [key.encode("utf-8") for key in secret_keys(settings)]
    tag_secret = settings.user_tag_key
    # Without a key of its own the tag only shards; it must not change with secret_key, or a
    # logout everywhere would miss the sessions signed before.
    tag_material = tag_secret.get_secret_value() if tag_secret else f"openclaw:{settings.namespace}"
    codec: Any = JsonCodec() if settings.codec == "json" else MsgpackCodec()
    injected: dict[str, Any] = {"random": random, "wall": wall, "monotonic": monotonic}
    return Desk(
        rules=settings.rules(),
        cookie=settings.cookie(),
        previous_cookies=settings.previous_cookie_specs(),
        clear_site_data=", ".join(f'"{name}"' for name in settings.clear_site_data),
        signer=TokenSigner(secret_keys(settings)),
        sealer=_sealer(settings, codec, keys),
        encode=codec.encode,
        user_tag_key=derive(tag_material.encode("utf-8"), "user tag"),
        rotation_keys=tuple(derive(key, "rotation") for key in keys),
        events=Events() if events is None else events,
        **{name: value for name, value in injected.items() if value is not None},
    )


def secret_keys(settings: SessionSettings) -> list[str]:
    """The current secret key, then its fallbacks."""
    fallbacks = [each.get_secret_value() for each in settings.secret_key_fallbacks]
    return [settings.secret_key.get_secret_value(), *fallbacks]


def _sealer(settings: SessionSettings, codec: Any, keys: Sequence[bytes]) -> Sealer:
    compressors: list[Any] = [ZlibCompressor()]
    try:
        compressors.append(ZstdCompressor())
    except MissingDependency:
        if settings.compress_over is not None and settings.compression == "zstd":
            raise
    writer = compressors[-1] if settings.compression == "zstd" else compressors[0]
    ring = None
    if settings.encryption_keys:
        ring = AesGcmRing([each.get_secret_value() for each in settings.encryption_keys])
    return Sealer(
        codec=codec,
        codecs=(MsgpackCodec(), JsonCodec()),
        mac_keys=[derive(key, "envelope") for key in keys],
        cipher=ring,
        compress_over=settings.compress_over,
        compressor=writer if settings.compress_over is not None else None,
        decompressors=compressors,
    )


# A runtime keeps its settings alive, so an id in here is never one of other settings.
_runtimes: weakref.WeakValueDictionary[int, Runtime] = weakref.WeakValueDictionary()
_registry = threading.Lock()


def runtime_of(sessions: Any) -> Runtime:
    """The runtime of settings, of a manager, or itself; the same one each time.

    Raises:
        TypeError: something else was given.
    """
    if isinstance(sessions, Runtime):
        return sessions
    runtime = getattr(sessions, "runtime", None)
    if isinstance(runtime, Runtime):
        return runtime
    if not isinstance(sessions, SessionSettings):
        raise TypeError(
            "sessions must be SessionSettings, a SessionManager or an AsyncSessionManager, "
            f"not {type(sessions).__name__}"
        )
    with _registry:
        known = _runtimes.get(id(sessions))
    return known or register(Runtime(sessions))


def register(runtime: Runtime) -> Runtime:
    """Make this runtime the one of its settings, if they have none yet; the one they have."""
    with _registry:
        return _runtimes.setdefault(id(runtime.settings), runtime)
