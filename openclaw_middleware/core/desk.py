"""What the core needs of one deployment, handed in: rules, keys, signer, sealer, randomness, time.

Built once from the settings by `runtime`; never changed afterwards.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .cookies import CookieSpec
from .events import Event, Events
from .policy import Rules
from .record import Record
from .token import Random, Token, mint, user_tag


class Signer(Protocol):
    """Signs tokens and tells ours from forgeries."""

    def sign(self, token: Token) -> str: ...
    def verify(self, value: str) -> Token | None: ...


class Opened(Protocol):
    """An envelope whose tag was verified."""

    def decode(self) -> Any: ...


class Sealer(Protocol):
    """Seals content into an envelope bound to its record, and opens it again."""

    def seal(self, record: Record, content: Any) -> bytes: ...
    def unseal(self, record: Record) -> Opened: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """The deployment, as the core sees it.

    Attributes:
        cookie: the session cookie; `previous_cookies` are variants used before, to be deleted.
        encode: canonical encoding of a value within this process, to detect changes.
        user_tag_key: keys the user's shard; must outlive rotations of the secret key.
        rotation_keys: derive successor secrets; the current key first.
        clear_site_data: value of the header of that name in the answer to a logout; empty for none.
        wall: this process's epoch clock, only to read what the application passes in.
        monotonic: seconds, to measure how long ago something was.
    """

    rules: Rules
    cookie: CookieSpec
    signer: Signer
    sealer: Sealer
    encode: Callable[[Any], bytes]
    # Reporters of errors print what stands around a failure, so no key is part of the `repr`.
    user_tag_key: bytes = field(repr=False)
    rotation_keys: Sequence[bytes] = field(repr=False)
    events: Events = field(default_factory=Events)
    previous_cookies: Sequence[CookieSpec] = ()
    clear_site_data: str = ""
    random: Random = secrets.token_bytes
    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    def tag(self, user_id: str | None) -> str:
        """The shard of a user; empty when anonymous."""
        return "" if user_id is None else user_tag(self.user_tag_key, user_id)

    def mint(self, user_id: str | None) -> Token:
        """A fresh token in the user's shard."""
        return mint(self.tag(user_id), self.random)

    def emit(self, event: Event) -> None:
        """Tell the listeners, if there are any."""
        if self.events:
            self.events.emit(event)
