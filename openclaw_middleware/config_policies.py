"""Lifetime policies as settings spell them: by name, in whole or in part, and by path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from .config_fields import PREFIX, PREFIX_RULE
from .config_units import as_duration, brief, nearest, split_unit, with_units
from .core.policy import CUSTOM, PRESETS, Policy
from .errors import ConfigurationError

_NAME = re.compile(r"[a-z](?:_?[a-z0-9-]){0,31}", re.ASCII)


def _paths_to_names(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"must map path prefixes to policy names, not {brief(value)}")
    for path, name in value.items():
        if not isinstance(path, str) or not PREFIX.fullmatch(path) or not isinstance(name, str):
            raise ValueError(
                f"must map paths that start with / ({PREFIX_RULE}) to policy names, "
                f"not {brief(path)}"
            )
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
        if not isinstance(name, str) or not _NAME.fullmatch(name):
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
