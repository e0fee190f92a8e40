"""The store URL of a Django database connection. What Django alone understands is left out."""

from __future__ import annotations

from typing import Any

from ...errors import ConfigurationError

# libpq's own; Django's further options (pool, isolation_level, ...) concern its connections only.
_LIBPQ = frozenset(
    {
        "application_name",
        "channel_binding",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "options",
        "passfile",
        "service",
        "sslcert",
        "sslcertmode",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslpassword",
        "sslrootcert",
        "target_session_attrs",
    }
)


def database_url(connection: Any) -> str:
    """What `stores.sql` needs to reach the same database.

    Raises:
        ConfigurationError: the engine is not supported.
    """
    from sqlalchemy.engine import URL

    found: dict[str, Any] = connection.settings_dict
    options: dict[str, Any] = found.get("OPTIONS") or {}
    host, query = found.get("HOST") or None, {}
    if connection.vendor == "postgresql":
        query = {name: str(value) for name, value in options.items() if name in _LIBPQ}
        if host is not None and host.startswith("/"):
            query["host"], host = host, None
    elif connection.vendor == "mysql":
        query = _mysql(options)
        if host is not None and host.startswith("/"):
            query["unix_socket"], host = host, None
    else:
        raise ConfigurationError(
            f"store: database {connection.alias!r} is {connection.vendor}, which is not supported; "
            "known are: postgresql, mysql, sqlite. Give OPENCLAW another store, such as redis://"
        )
    url = URL.create(
        connection.vendor,
        username=found.get("USER") or None,
        password=found.get("PASSWORD") or None,
        host=host,
        port=int(found["PORT"]) if found.get("PORT") else None,
        database=str(found["NAME"]) if found.get("NAME") else None,
        query=query,
    )
    return url.render_as_string(hide_password=False)


def _mysql(options: dict[str, Any]) -> dict[str, str]:
    query: dict[str, str] = {
        name: str(options[name]) for name in ("charset", "unix_socket") if name in options
    }
    secured = options.get("ssl") or {}
    for name in ("ca", "cert", "key"):
        if name in secured:
            query[f"ssl_{name}"] = str(secured[name])
    return query
