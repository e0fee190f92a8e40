"""From a store URL, or a ready client or engine, to a store of the wanted colour.

The table is lazy: an engine's library is imported only when its scheme is asked for.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any, Literal, overload
from urllib.parse import parse_qs, urlsplit

from ..errors import ConfigurationError
from .base import AsyncStore, Store, StoreOptions
from .memory import AsyncMemoryStore, MemoryState, MemoryStore

Colour = Literal["sync", "async"]

# scheme -> module, blocking class, asyncio class
_STORES: dict[str, tuple[str, str, str]] = {
    **dict.fromkeys(("redis", "rediss", "unix"), ("redis", "RedisStore", "AsyncRedisStore")),
    **dict.fromkeys(
        ("sqlite", "postgresql", "postgres", "mysql", "mariadb"),
        ("sql", "SQLStore", "AsyncSQLStore"),
    ),
}


@overload
def open_store(source: Any, options: StoreOptions, colour: Literal["sync"]) -> Store: ...
@overload
def open_store(source: Any, options: StoreOptions, colour: Literal["async"]) -> AsyncStore: ...
def open_store(source: Any, options: StoreOptions, colour: Colour) -> Store | AsyncStore:
    """A store of the given colour.

    Args:
        source: a URL (`memory://`, `sqlite:///file.db`, `postgresql://`, `mysql://`, `redis://`),
            a ready Redis client, a SQLAlchemy engine, or a store.

    Raises:
        ConfigurationError: unknown scheme, wrong colour, or an unusable URL.
        MissingDependency: the engine's library is not installed.
    """
    if isinstance(source, Store | AsyncStore):
        wanted: type[Store] | type[AsyncStore] = Store if colour == "sync" else AsyncStore
        if not isinstance(source, wanted):
            raise ConfigurationError(
                f"{type(source).__name__} is not usable here: this application needs a "
                f"{'blocking' if colour == 'sync' else 'asyncio'} store. Pass a store URL, which "
                "serves both"
            )
        return source
    if not isinstance(source, str):
        return _opened("sqlite" if hasattr(source, "dialect") else "redis", source, options, colour)
    try:
        scheme = urlsplit(source).scheme
        if scheme == "memory":
            return _memory(source, options, colour)
        if scheme.partition("+")[0] not in _STORES:
            raise ConfigurationError(_unknown_scheme(source, scheme))
        return _opened(scheme.partition("+")[0], source, options, colour)
    except ConfigurationError:
        raise
    except Exception as error:
        # The parser's own message is left out: it may quote the password.
        raise ConfigurationError(
            f"store URL: {source.partition(':')[0]}:// is followed by something that is no URL "
            f"({type(error).__name__}): check host, port, brackets and the part after '?'"
        ) from None


def _opened(scheme: str, source: Any, options: StoreOptions, colour: Colour) -> Store | AsyncStore:
    module, blocking, asynchronous = _STORES[scheme]
    stores = importlib.import_module(f"{__package__}.{module}")
    store: Store | AsyncStore = getattr(stores, blocking if colour == "sync" else asynchronous)(
        source, options
    )
    return store


def _memory(url: str, options: StoreOptions, colour: Colour) -> Store | AsyncStore:
    query = parse_qs(urlsplit(url).query)
    unknown = set(query) - {"max_entries"}
    if unknown:
        raise ConfigurationError(f"store URL: memory:// knows max_entries, not {min(unknown)!r}")
    try:
        size = int(query.get("max_entries", ["100000"])[0])
    except ValueError:
        size = 0
    if size < 1:
        raise ConfigurationError("store URL: max_entries must be a positive whole number")
    state = MemoryState(size)
    if colour == "sync":
        return MemoryStore(options, state=state)
    return AsyncMemoryStore(options, state=state)


def _unknown_scheme(url: str, scheme: str) -> str:
    known = ["memory", *_STORES]
    if not scheme:
        return (
            f"store must be a URL such as sqlite:///sessions.db or redis://localhost/0, not {url!r}"
        )
    near = difflib.get_close_matches(scheme, known, 1)
    hint = f"; did you mean {near[0]}://?" if near else f"; known are: {', '.join(known)}"
    return f"store URL: unknown scheme {scheme!r}{hint}"
