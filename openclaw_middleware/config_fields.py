"""What one setting may hold, whatever else is set: types with the messages a person gets.

Pydantic's own strictness is kept (no number for a flag, no text for a number); where its wording
would not name the mend, a validator here does. Rules between settings are in `config_checks`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)

from .config_units import as_duration, brief, nearest, split_unit, with_units
from .core.cookies import CookieSpec
from .core.policy import CUSTOM, PRESETS, Policy
from .errors import ConfigurationError

MIN_SECRET = 32
_COOKIE_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", re.ASCII)
_PATH = re.compile(r"/[\x21-\x3a\x3c-\x7e]*", re.ASCII)
_NAMESPACE = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_POLICY_NAME = re.compile(r"[a-z](?:_?[a-z0-9-]){0,31}", re.ASCII)
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


def _paths_to_names(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"must map path prefixes to policy names, not {brief(value)}")
    for path, name in value.items():
        if not isinstance(path, str) or not _PATH.fullmatch(path) or not isinstance(name, str):
            raise ValueError(f"must map paths that start with / to policy names, not {brief(path)}")
    return MappingProxyType(dict(value))


def plain_policy(value: Mapping[object, object]) -> tuple[dict[str, Any], list[str]]:
    """The keys of `Policy` with timedeltas, from unit-suffixed keys; and what is wrong."""
    plain: dict[str, Any] = {}
    wrong: list[str] = []
    fields = ("idle_timeout", "absolute_timeout", "persistent")
    for written, content in value.items():
        key = str(written)
        name, unit = split_unit(key)
        if name not in fields:
            near = nearest(key, with_units(fields))
            wrong.append(f"{key}: unknown key" + (f"; did you mean {near}?" if near else ""))
        elif name in plain:
            wrong.append(f"{name} is given twice: keep one of its units")
        elif name == "persistent":
            plain[name] = content
            if not isinstance(content, bool):
                wrong.append(f"{name}: must be true or false, not {brief(content)}")
        else:
            try:
                plain[name] = as_duration(name, unit, content)
                if plain[name] is None and name == "absolute_timeout":
                    wrong.append(f"{key}: every session needs an absolute limit")
            except ValueError as error:
                wrong.append(f"{key}: {error}")
    return plain, wrong


def read_policies(value: object, idle: float | None, absolute: float) -> Mapping[str, Policy]:
    """Policies by name; a limit that is left out is the preset's of that name, else the site's.

    Raises:
        ValueError: one problem per line.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"must map names to policies, not {brief(value)}")
    policies: dict[str, Policy] = {}
    wrong: list[str] = []
    for name, content in value.items():
        if not isinstance(name, str) or not _POLICY_NAME.fullmatch(name):
            wrong.append(f"{brief(name)}: a name is lower-case letters, digits, - and single _")
        elif name in ("default", CUSTOM):
            mend = "set idle_timeout and absolute_timeout themselves" * (name == "default")
            wrong.append(f"{name}: this name is reserved; {mend or 'choose another'}")
        elif isinstance(content, Policy):
            policies[name] = content
        elif not isinstance(content, Mapping):
            wrong.append(f"{name}: must be a Policy or a mapping of its limits")
        else:
            plain, errors = plain_policy(content)
            wrong += [f"{name}.{error}" for error in errors]
            base = PRESETS.get(name, Policy(min(idle or absolute, absolute), absolute))
            if errors:
                continue
            try:
                policies[name] = Policy(
                    plain.get("idle_timeout", base.idle),
                    plain.get("absolute_timeout", base.absolute),
                    plain.get("persistent", base.persistent),
                )
            except ConfigurationError as error:
                wrong.append(f"{name}: {error}")
    if wrong:
        raise ValueError("\n".join(wrong))
    return MappingProxyType(policies)


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
CookiePath = Annotated[StrictStr, Field(max_length=1024), _path]
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


Paths = Annotated[tuple[Annotated[StrictStr, _path], ...], BeforeValidator(_listed)]
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
_POLICY_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **{
            key: {"type": ["number", "null"] if key.startswith("idle") else "number"}
            for key in with_units(["idle_timeout", "absolute_timeout"])
        },
        "persistent": {"type": "boolean"},
    },
}
Policies = Annotated[
    Mapping[str, Policy],
    WithJsonSchema({"type": "object", "additionalProperties": _POLICY_SCHEMA}),
]
PathPolicies = Annotated[
    Mapping[str, str],
    PlainValidator(_paths_to_names),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
]
