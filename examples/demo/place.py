"""Where the demo keeps what must survive a restart: the SQLite file and the key.

A new key would sign everybody out, so it is made once and kept, readable by its owner only.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from openclaw_middleware import Policy, SessionSettings
from openclaw_middleware.stores.url import open_store
from openclaw_middleware.testing import Fault, wrap

TOUCH_INTERVAL = 10.0
"""Seconds. Shorter than the default (a tenth of the idle limit), so that the clock is exact."""

SHORT = Policy(150, 300)
"""Seconds idle, seconds in all. Warnings come at half of either, so that they can be seen soon."""

DEFAULT = Path(".cache", "demo")


def settings_in(folder: Path, watch: Fault) -> SessionSettings:
    """The demo's settings.

    Args:
        folder: made when it is missing.
        watch: told about every trip to the store.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = f"sqlite:///{(folder / 'sessions.db').resolve()}"

    def settings(store: Any) -> SessionSettings:
        return SessionSettings(
            secret_key=key_in(folder),
            store=store,
            touch_interval=TOUCH_INTERVAL,
            enable_heartbeat=True,
            policies={"short": SHORT},
            client_info="user_agent",
            skip_paths=("/static",),
        )

    # Only the demo needs a wrapped store: it wants to show each trip.
    return settings(wrap(open_store(url, settings(url).store_options(), "async"), watch))


def key_in(folder: Path) -> str:
    """The secret key kept in the folder, made on the first start."""
    file = folder / "secret.key"
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return file.read_text().strip()
    with os.fdopen(handle, "w") as new:
        new.write(secrets.token_urlsafe(48))
    return file.read_text().strip()
