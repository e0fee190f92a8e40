"""Redis clients for the store: made from a URL, or taken ready-made and checked.

The library is imported only when a URL is opened. A ready client is judged by what it does, never
by its type, so wrappers, fakes, Sentinel masters, Cluster and Valkey clients serve alike.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..errors import ConfigurationError, MissingDependency
from .name_lookup import name_known

SCHEMES = ("redis", "rediss", "unix")
MAX_CONNECTIONS = 50

_DEAD_POOL = ("No connection available", "Too many connections")


def blocking_client(url: str) -> Any:
    """A blocking client with a pool of its own; what it waits for keeps the deadline."""
    redis = _library()
    from .redis_limited import LimitedPool

    pool = LimitedPool.from_url(
        url, max_connections=MAX_CONNECTIONS, **_connection_settings(redis.retry.Retry)
    )
    return redis.Redis(connection_pool=pool)


def asyncio_client(url: str) -> Any:
    """An asyncio client with a pool of its own, for one event loop.

    The caller bounds each verb by one deadline, so nothing in here has a timeout: the library's
    own make a task or a timer for every send, read and wait, a third of the time of a call.
    """
    redis = _library()
    pool = redis.asyncio.ConnectionPool.from_url(
        url,
        **{
            "max_connections": MAX_CONNECTIONS,
            "socket_timeout": None,
            "socket_connect_timeout": None,
            **_connection_settings(redis.asyncio.retry.Retry),
        },
    )
    pool.connection_class = _patient(pool.connection_class)
    return _bounded_class()(connection_pool=pool)


@cache
def _patient(kind: Any) -> Any:
    """The connection class, waiting for its host's name with all the others."""

    class Patient(kind):  # type: ignore[misc]  # known at run time
        async def _connect(self) -> None:
            await name_known(getattr(self, "host", ""))  # a Unix socket has none
            await super()._connect()

    return Patient


@cache
def _bounded_class() -> Any:
    redis: Any = _library()

    class BoundedRedis(redis.asyncio.Redis):  # type: ignore[misc]  # its base is found at run time
        """Waits while all connections of its pool are in use, for less than the library's pool."""

        def __init__(self, *, connection_pool: Any) -> None:
            super().__init__(connection_pool=connection_pool)
            self._free = asyncio.Semaphore(connection_pool.max_connections)

        async def execute_command(self, *args: Any, **options: Any) -> Any:
            async with self._free:
                return await super().execute_command(*args, **options)

    return BoundedRedis


async def close_asyncio(client: Any) -> None:
    await client.connection_pool.disconnect()


def abandon_asyncio(client: Any) -> None:
    """Release the sockets of a client whose loop is closed or belongs to the parent process.

    The loop can no longer be told, and its transports know no other way to go in silence.
    """
    pool = client.connection_pool
    connections = (
        *getattr(pool, "_available_connections", ()),
        *getattr(pool, "_in_use_connections", ()),
    )
    for connection in connections:
        transport = getattr(getattr(connection, "_writer", None), "transport", None)
        if transport is not None:
            _release(transport)
        connection._writer = connection._reader = None


def _release(transport: Any) -> None:
    inner = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    if inner is not None:
        transport._closed = True
        transport = inner
    sock = getattr(transport, "_sock", None)
    if sock is not None:
        sock.close()
        transport._sock = None
        transport._closing = True


def _connection_settings(retry: Any) -> dict[str, Any]:
    """Retries are off: the library's would replay a write whose reply was lost. RESP2 spares a
    round trip per connection, and the scripts answer nothing that needs more."""
    from redis.backoff import NoBackoff

    return {"protocol": 2, "retry": retry(NoBackoff(), 0)}


def _library() -> Any:
    try:
        import redis
        import redis.asyncio
        import redis.asyncio.retry
        import redis.retry
    except ImportError as error:
        raise MissingDependency("redis", "redis") from error
    return redis


def check_url(url: str, timeout: float) -> None:
    """Refuse a URL that could not work, naming the part; opens no connection.

    Raises:
        ConfigurationError: without the password, which the URL may hold.
    """
    redis = _library()
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(
            f"store URL: scheme {parts.scheme!r} is none of {', '.join(SCHEMES)}"
        )
    try:
        port = parts.port
    except ValueError:
        raise ConfigurationError("store URL: the port must be a number up to 65535") from None
    if port == 0:
        raise ConfigurationError("store URL: the port must not be 0")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme == "unix":
        if not parts.path or parts.netloc.rpartition("@")[2]:
            raise ConfigurationError(
                "store URL: the socket's path is missing; write unix:///path/to/redis.sock"
            )
    elif parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        raise ConfigurationError(
            f"store URL: the database must be a number, not {parts.path.strip('/')!r}"
        )
    if not query.get("db", "0").isdecimal():
        raise ConfigurationError(f"store URL: db must be a number, not {query['db']!r}")
    if query.get("decode_responses", "").lower() not in ("", "0", "false", "no"):
        raise ConfigurationError("store URL: remove decode_responses; sessions are bytes")
    try:
        pool = redis.BlockingConnectionPool.from_url(url, timeout=timeout)
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, redis.RedisError) as error:
        raise ConfigurationError(f"store URL: {_unknown_option(error, query)}") from None


def _unknown_option(error: Exception, query: dict[str, str]) -> str:
    named = [name for name in query if f"'{name}'" in str(error)]
    if isinstance(error, TypeError) and named:
        return f"unknown option {named[0]!r}"
    if named:
        return f"option {named[0]!r} has an unusable value"
    return f"an option in {sorted(query)} cannot be used" if query else "it cannot be understood"


def is_asyncio(client: Any) -> bool:
    """Whether calls of this ready client must be awaited."""
    return inspect.iscoroutinefunction(client.execute_command) or hasattr(client, "aclose")


def check_client(client: Any, *, awaited: bool) -> None:
    """Refuse a ready client that cannot serve a store of the wanted colour.

    Raises:
        ConfigurationError: the message names the mend.
    """
    if not callable(getattr(client, "execute_command", None)):
        raise ConfigurationError(
            f"store must be a Redis URL or a Redis client, not {type(client).__name__}"
        )
    if is_asyncio(client) != awaited:
        raise ConfigurationError(wrong_colour(awaited))
    encoder = getattr(client, "get_encoder", None)
    if callable(encoder) and getattr(encoder(), "decode_responses", False) is True:
        raise ConfigurationError(DECODES)


DECODES = (
    "this Redis client decodes its responses, and sessions are bytes: make it with "
    "decode_responses=False, or pass a redis:// URL"
)


def wrong_colour(awaited: bool) -> str:
    if awaited:
        return (
            "a blocking Redis client was given where an asyncio one is needed: pass a client from "
            "redis.asyncio, or a redis:// URL, which serves both"
        )
    return (
        "an asyncio Redis client was given where a blocking one is needed: pass redis.Redis, or a "
        "redis:// URL, which serves both"
    )


def is_sharded(client: Any) -> bool:
    """Whether the client speaks to a Cluster: only such clients know slots of keys."""
    return hasattr(client, "keyslot")


def errors_of_libraries() -> tuple[type[BaseException], ...]:
    """Every exception a failing engine shows itself by, in the libraries imported so far."""
    errors: list[type[BaseException]] = [OSError, TimeoutError]
    for library in ("redis", "valkey"):
        module = sys.modules.get(f"{library}.exceptions")
        prefix = library.capitalize()
        for name in (f"{prefix}Error", f"{prefix}ClusterException"):
            error = getattr(module, name, None)
            if error is not None:
                errors.append(error)
    return tuple(errors)


def is_disconnection(error: BaseException) -> bool:
    """Whether an established connection was found dead: then one more try is worth its time.

    Not when connecting failed, the pool was exhausted, or the server refused or was slow.
    """
    if isinstance(error, ConnectionError):
        return not isinstance(error, ConnectionRefusedError)
    text = str(error)
    return (
        type(error).__name__ == "ConnectionError"
        and " connecting to " not in text
        and not text.startswith(_DEAD_POOL)
    )


def is_unknown_script(error: BaseException) -> bool:
    return type(error).__name__ == "NoScriptError" or str(error).startswith("NOSCRIPT")


def is_cross_slot(error: BaseException) -> bool:
    """Whether keys of one call lie in different slots, found by the client or by the server."""
    text = str(error)
    return "CrossSlot" in type(error).__name__ or "CROSSSLOT" in text or "same key slot" in text
