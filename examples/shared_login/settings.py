"""All that must agree for three applications to share a sign-in.

Each of them reads `SHARED`; the cookie's name stands apart because Django wants it among its own
settings. Everything else, limits included, is each application's own affair.

`OPENCLAW_SESSION__...` variables win over what is written here, in all three:
`OPENCLAW_SESSION__STORE` for instance is what `--store` sets.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

DATA = Path(os.environ.get("SHARED_LOGIN_DATA", ".cache/shared_login")).resolve()
"""Where this example keeps its keys and its users, so that a restart signs nobody out."""


def kept_key(name: str) -> str:
    """A key made on the first start and kept; in production it comes from the environment."""
    DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = DATA / name
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(48))
    return file.read_text()


SHARED = {
    # One place for the sessions, and one corner of it.
    "STORE": "redis://127.0.0.1:6379/0",
    "NAMESPACE": "shared_login",
    # Signs the cookie and seals the data.
    "SECRET_KEY": kept_key("secret.key"),
    # Finds a user's sessions again; it stays when the secret key is changed.
    "USER_TAG_KEY": kept_key("user_tag.key"),
}

COOKIE = "__Host-session"
"""What Flask and FastAPI call it anyway; Django's own name would be "sessionid"."""
