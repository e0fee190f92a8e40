"""The browser client as it is served: its bytes, validators and integrity. Nothing is rendered."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .answers import Answer
from .heartbeat_calls import Call

NAME = "client.js"
_FILE = Path(__file__).parent / "static" / NAME


@dataclass(frozen=True, slots=True)
class Script:
    """The served file.

    Attributes:
        version: short hash of the content; a URL with `?v=` it never changes its content.
        integrity: for the `integrity` attribute of a `script` element (SRI).
    """

    content: bytes
    version: str
    integrity: str


@cache
def script() -> Script:
    """The file that came with the package, read once."""
    content = _FILE.read_bytes()
    digest = hashlib.sha384(content).digest()
    return Script(content, digest.hex()[:16], "sha384-" + base64.b64encode(digest).decode())


def serve(call: Call) -> Answer:
    """The script, or 304 to whoever has it already (RFC 9110, section 13.1.2)."""
    found = script()
    tag = f'"{found.version}"'
    current = call.parameters.get("v") == found.version
    headers = [
        ("Content-Type", "text/javascript; charset=utf-8"),
        ("Cache-Control", f"public, {'max-age=31536000, immutable' if current else 'no-cache'}"),
        ("ETag", tag),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ]
    known = (call.header("if-none-match") or "").split(",")
    if {each.strip().removeprefix("W/") for each in known} & {tag, "*"}:
        return Answer(304, "Not Modified", headers[1:], b"")
    return Answer(200, "OK", headers, found.content)
