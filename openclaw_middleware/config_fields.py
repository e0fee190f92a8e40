"""What one setting may hold, whatever else is set: types with the messages a person gets.

Pydantic's own strictness is kept (no number for a flag, no text for a number); where its wording
would not name the mend, a validator here does. Rules between settings are in `config_checks`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)

from .config_units import brief
from .core.cookies import CookieSpec

MIN_SECRET = 32
_COOKIE_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", re.ASCII)
_PATH = re.compile(r"/[\x21-\x3a\x3c-\x7e]*", re.ASCII)
# What a request's path, which servers decode, can begin with; anything else would match nothing.
_SEGMENT = r"/(?!\.{1,2}(?:/|\Z))"
PREFIX = re.compile(rf"/|(?:{_SEGMENT}[^/%?#\x00-\x1f\x7f]+)+/?")
_FOLDER = re.compile(rf"(?:{_SEGMENT}[A-Za-z0-9._~!$&'()*+,=:@-]+)+/?", re.ASCII)
PREFIX_RULE = "decoded, without %, ?, #, // or .."
_LOGIN_URL = re.compile(r"/(?![/\\])[\x21\x24-\x7e]*", re.ASCII)
_NAMESPACE = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_URL = re.compile(r"[a-z][a-z0-9+.-]*:.+", re.ASCII | re.IGNORECASE)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        raise ValueError(f"must be a timedelta or a number of seconds, not {brief(value)}")
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if not 0 < seconds < 1e10:
        raise ValueError(f"must be more than 0 and finite, not {seconds:g} s")
    return seconds


def _secret(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, bytes):
        return _secret(_decoded(text))
    if not isinstance(text, str):
        raise ValueError(f"must be text, not {type(text).__name__}")
    if text != text.strip() or not text:
        raise ValueError("is empty or has spaces or line ends around it")
    return SecretStr(text)


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        # Random bytes, as many Flask applications have them: any fixed reading will do.
        return value.hex()


def _raw_key(value: object) -> object:
    # Not by `_decoded`: 32 random bytes that happen to be UTF-8 would be read as another key.
    return value.hex() if isinstance(value, bytes) else value


def _long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < MIN_SECRET:
        raise ValueError(
            f"is shorter than {MIN_SECRET} characters and can be guessed: make one with "
            "`openclaw-middleware new-key`"
        )
    return value


def _listed(value: object) -> object:
    if isinstance(value, str | bytes) or not isinstance(value, list | tuple):
        raise ValueError(f"must be a list, not {type(value).__name__}")
    return tuple(value)


def _matching(pattern: re.Pattern[str], message: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"{message}, not {brief(value)}")
        return value

    return check


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _domain(value: object) -> object:
    return value.lower().removeprefix(".") if isinstance(value, str) else value


def _store(value: object) -> object:
    if isinstance(value, str):
        if not _URL.fullmatch(value):
            raise ValueError("must be a URL such as sqlite:///sessions.db or redis://localhost/0")
    elif value is None or isinstance(value, bool | int | float | bytes | list | tuple | dict):
        raise ValueError(f"must be a URL or a ready client, not {type(value).__name__}")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"must hold addresses or networks such as 10.0.0.0/8: {error}") from None


def _answer(value: object) -> object:
    if callable(value) or value in ("unavailable", "anonymous"):
        return value
    raise ValueError(f'must be "unavailable", "anonymous" or a callable, not {brief(value)}')


def _previous(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds)]
LongSecret = Annotated[SecretStr, BeforeValidator(_secret), AfterValidator(_long)]
Flag = StrictBool
Size = Annotated[StrictInt, Field(ge=0)]
Count = Annotated[StrictInt, Field(ge=1)]
Key = Annotated[StrictStr, Field(min_length=1)]
CookieName = Annotated[
    StrictStr, AfterValidator(_matching(_COOKIE_NAME, "must be an RFC 6265 token"))
]
Domain = Annotated[
    StrictStr,
    BeforeValidator(_domain),
    AfterValidator(_matching(_DOMAIN, "must be a host name such as example.com (no scheme, port)")),
]
_path = AfterValidator(_matching(_PATH, "must start with / and hold no spaces or ;"))
_prefix = AfterValidator(
    _matching(PREFIX, f"must start with / and be written as requests have it ({PREFIX_RULE})")
)
CookiePath = Annotated[StrictStr, Field(max_length=1024), _path]
Folder = Annotated[
    StrictStr,
    AfterValidator(
        _matching(
            _FOLDER, f"must start with / and name a folder such as /_session/ ({PREFIX_RULE})"
        )
    ),
]
LoginUrl = Annotated[
    StrictStr,
    AfterValidator(
        _matching(_LOGIN_URL, "must be a path of this site such as /login, without a fragment")
    ),
]
Namespace = Annotated[
    StrictStr,
    AfterValidator(
        _matching(_NAMESPACE, "must be 1-32 lower-case letters, digits and _, a letter first")
    ),
]


class PreviousCookie(BaseModel):
    """A cookie the site used before; what is left out is as in the current cookie."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: CookieName
    domain: Domain | None = None
    path: CookiePath = "/"

    def spec(self, current: CookieSpec) -> CookieSpec:
        """Name and attributes to delete it with."""
        given = self.model_fields_set
        prefixed = self.name.lower().startswith(("__host-", "__secure-"))
        return CookieSpec(
            self.name,
            path=self.path if "path" in given else current.path,
            domain=self.domain if "domain" in given else current.domain,
            secure=current.secure or prefixed,  # browsers take no prefixed cookie without
            samesite=current.samesite,
            partitioned=current.partitioned,
        )


Paths = Annotated[tuple[Annotated[StrictStr, _prefix], ...], BeforeValidator(_listed)]
SiteData = Annotated[tuple[Literal["cache", "storage"], ...], BeforeValidator(_listed)]
Networks = Annotated[
    tuple[Annotated[StrictStr, AfterValidator(_network)], ...], BeforeValidator(_listed)
]
LongSecrets = Annotated[tuple[LongSecret, ...], BeforeValidator(_listed)]
Keys = Annotated[
    tuple[Annotated[SecretStr, BeforeValidator(_secret), BeforeValidator(_raw_key)], ...],
    BeforeValidator(_listed),
]
PreviousCookies = Annotated[
    tuple[
        Annotated[
            PreviousCookie,
            BeforeValidator(_previous),
            WithJsonSchema({"anyOf": [{"type": "string"}, PreviousCookie.model_json_schema()]}),
        ],
        ...,
    ],
    BeforeValidator(_listed),
]
SameSite = Annotated[Literal["lax", "strict", "none"], BeforeValidator(_lower)]
StoreSource = Annotated[Any, BeforeValidator(_store), WithJsonSchema({"type": "string"})]
OnStoreError = Annotated[
    Any,
    BeforeValidator(_answer),
    WithJsonSchema({"enum": ["unavailable", "anonymous"]}),
]
