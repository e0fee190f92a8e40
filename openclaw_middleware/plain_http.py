"""The one thing to say about plain http: a Secure cookie that was sent there will not come back.

Said once per deployment. Drivers ask; nothing is decided by it.
"""

from __future__ import annotations

from .core.events import logger

# Browsers keep Secure cookies on these; see the README for what was tried.
_OWN_MACHINE = ("localhost", "127.0.0.1", "[::1]")


class PlainHttpNotice:
    """Remembers whether it was said."""

    def __init__(self) -> None:
        self._said = False

    def of_cookie(self, scheme: str, host: str) -> None:
        """A Secure cookie leaves in answer to a request of this scheme and `Host` header."""
        if self._said or scheme not in ("http", "ws"):
            return
        name, _, port = host.rpartition(":")
        name = name if port.isdigit() else host
        if name in _OWN_MACHINE or name.endswith(".localhost"):
            return
        self._said = True
        logger.warning(
            "a Secure session cookie was sent over plain http to %s, and will not come back: "
            "serve https (and let the server trust the proxy that does), or set cookie_secure to "
            "false; tests use SessionSettings.for_tests() or an https base URL",
            # quoted: any client can send one, with signs in it that a terminal obeys
            ascii(name) if name else "a client without a Host header",
        )
