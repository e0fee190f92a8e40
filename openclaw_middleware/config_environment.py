"""Settings from variables: `OPENCLAW_SESSION__KEY`, nested `OPENCLAW_SESSION__POLICIES__NAME__KEY`,
and `…__SECRET_KEY_FILE` for a secret that lies in a file.

A variable is text, so what it means depends on the setting; nothing is guessed, and no message
quotes a value: it may be a secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from .config_layers import CONFIG_FILE, Entry, Fields, Layer, canonical, did_you_mean
from .config_report import SECRETS
from .config_units import DURATIONS, split_unit, with_units

PREFIX = "OPENCLAW_SESSION__"
FROM_FILE = tuple(sorted({*SECRETS, "store"}))
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_FLAGS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_FILES = (*(f"{name}_file" for name in FROM_FILE), CONFIG_FILE)


def from_environment(environ: Mapping[str, str], fields: Fields) -> Layer:
    """Variables that begin with our prefix; an unknown one is an error."""
    entries: list[Entry] = []
    policies: dict[str, dict[str, Any]] = {}
    unread = Layer()
    upper = [known.upper() for known in (*with_units(fields), *_FILES)]
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            if (single := variable.removeprefix(PREFIX[:-1])) != variable and single in upper:
                unread.notes.append(
                    f"environment {variable} is not read: did you mean {PREFIX}{single}?"
                )
            continue
        text = environ[variable]
        origin = f"environment {variable}"
        key = variable.removeprefix(PREFIX)
        name = split_unit(key.lower())[0] if key.isupper() else ""
        parts = name.split("__")
        try:
            if len(parts) == 3 and parts[0] == "policies":
                leaf = split_unit(parts[2])[0]
                kind = "flag" if leaf == "persistent" else "number"
                policies.setdefault(parts[1], {})[parts[2]] = parse(text, kind, nullable=True)
            elif name.endswith("_file") and name.removesuffix("_file") in FROM_FILE:
                name = name.removesuffix("_file")
                value = _from_file(text, many=name in ("secret_key_fallbacks", "encryption_keys"))
                entries.append(Entry(name, value, origin, variable))
            elif name in fields:
                unitless = name in DURATIONS and split_unit(key.lower())[1] is None
                value = text if unitless else parse(text, *_kind(name, fields[name]))
                entries.append(Entry(key.lower(), value, origin, variable))
            else:
                mend = did_you_mean(variable, [f"{PREFIX}{known}" for known in upper])
                unread.wrong(origin, f"unknown variable{mend}")
        except ValueError as error:
            unread.wrong(origin, str(error), parts[0])
    if policies:
        entries.append(
            Entry("policies", policies, f"environment {PREFIX}POLICIES__…", f"{PREFIX}POLICIES__…")
        )
    layer = canonical(entries, fields)
    layer.problems[:0] = unread.problems
    layer.bad |= unread.bad
    layer.notes = unread.notes
    return layer


def parse(text: str, kind: str, nullable: bool) -> Any:
    """What a variable's text means for a setting of this kind.

    Raises:
        ValueError: the message tells how to write it; it never holds the text, which may be
            secret.
    """
    _whole(text)
    if nullable and text == "null":
        return None
    if kind == "flag":
        if text.lower() not in _FLAGS:
            raise ValueError("must be true or false")
        return _FLAGS[text.lower()]
    if kind == "number":
        if not _NUMBER.fullmatch(text):
            raise ValueError("must be a plain number")
        return float(text) if "." in text else int(text)
    if kind == "text":
        return text
    example = '["one", "two"]' if kind == "list" else '{"name": ...}'
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list if kind == "list" else dict):
        raise ValueError(f"must be a JSON {kind if kind == 'list' else 'object'}: {example}")
    return value


def _whole(text: str) -> None:
    if text != text.strip() or not text:
        raise ValueError("is empty or has spaces around it: unset it, or mend it")


def _kind(name: str, info: FieldInfo) -> tuple[str, bool]:
    """How a variable for this field is written, and whether it may be null."""
    annotation = info.annotation
    options = (
        get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    )
    plain = [_bare(option) for option in options]
    nullable = type(None) in plain
    if name in DURATIONS or int in plain:
        return "number", nullable
    if bool in plain:
        return "flag", nullable
    if tuple in plain:
        return "list", nullable
    if any(isinstance(option, type) and issubclass(option, Mapping) for option in plain):
        return "mapping", nullable
    return "text", nullable


def _bare(annotation: Any) -> Any:
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    return get_origin(annotation) or annotation


def _from_file(path: str, many: bool) -> str | list[str]:
    _whole(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ValueError(f"cannot read {path!r}: {reason}") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"the file {path!r} is empty")
    if many:
        return lines
    if len(lines) > 1:
        raise ValueError(f"the file {path!r} must hold one line, not {len(lines)}")
    return lines[0]
