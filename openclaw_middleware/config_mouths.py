"""The mouths settings come in by, merged: defaults < framework < YAML < app < environment <
argument. Every value keeps where it came from. Values are read here, but judged by the model.

`OPENCLAW_SESSION__KEY`, nested `OPENCLAW_SESSION__POLICIES__NAME__KEY`, and `…__SECRET_KEY_FILE`
for a secret in a file. The YAML file itself is read in `config_yaml`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from .config_fields import plain_policy
from .config_report import SECRETS
from .config_units import DURATIONS, as_duration, nearest, split_unit, with_units

PREFIX = "OPENCLAW_SESSION__"
CONFIG_FILE = "config_file"
FROM_FILE = tuple(sorted({*SECRETS, "store"}))
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_FLAGS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}

Fields = Mapping[str, FieldInfo]


@dataclass(frozen=True, slots=True)
class Given:
    """A value and where it came from, such as "openclaw_config.yaml:12"."""

    value: Any
    origin: str

    @property
    def prefix(self) -> str:
        """The beginning of a message about it."""
        return "" if self.origin == "argument" else f"{self.origin}: "


@dataclass(slots=True)
class Layer:
    """What one mouth, or all of them, said.

    Attributes:
        bad: settings that were given but could not be read.
        notes: what is allowed and probably not meant.
    """

    given: dict[str, Given] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    bad: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def where(self, names: Iterable[str]) -> str:
        """` (idle_timeout: openclaw_config.yaml:3)` for what did not come as an argument."""
        places = [
            f"{name}: {self.given[name].origin}"
            for name in names
            if name in self.given and self.given[name].prefix
        ]
        return f" ({', '.join(places)})" if places else ""

    def wrong(self, origin: str, message: str, name: str | None = None) -> None:
        """Note a problem, and the setting it spoils."""
        self.problems.append(f"{origin}: {message}" if origin != "argument" else message)
        if name is not None:
            self.bad.add(name)


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as somebody wrote it. `written` is its spelling for messages."""

    key: str
    value: Any
    origin: str
    written: str


def as_arguments(values: Mapping[str, Any], fields: Fields) -> Layer:
    """Python arguments: durations without units in their keys."""
    layer = Layer()
    for key, value in values.items():
        name, unit = split_unit(key)
        if key in fields:
            layer.given[key] = Given(value, "argument")
        elif unit is not None:
            layer.wrong(
                "argument",
                f"{key}: in Python the unit is in the value: {name}=timedelta({unit}=...)",
                name,
            )
        else:
            layer.wrong("argument", f"{key}: unknown setting{_did_you_mean(key, fields)}")
    return layer


def gather(
    fields: Fields,
    *,
    config_file: str | os.PathLike[str] | None,
    framework_defaults: Mapping[str, Any],
    app_settings: Mapping[str, Any],
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
) -> Layer:
    """All mouths as one layer, the later over the earlier."""
    named = CONFIG_FILE.upper()
    app = dict(app_settings)
    app_file = [app.pop(key) for key in (CONFIG_FILE, named) if key in app]
    variables = dict(environ)
    variable_file = variables.pop(PREFIX + named, None)
    path = config_file or variable_file or next(iter(app_file), None)
    layers = [from_mapping(framework_defaults, fields, "framework settings")]
    if path is not None:
        from .config_yaml import read_session

        entries, problems = read_session(path)
        layers.append(canonical(entries, fields))
        layers[-1].problems[:0] = problems
    layers += [
        from_mapping(app, fields, "app settings"),
        from_environment(variables, fields),
        as_arguments(overrides, fields),
    ]
    merged = Layer()
    for layer in layers:
        for name, given in layer.given.items():
            merged.given[name] = _over(merged.given.get(name), given, name)
        merged.problems += layer.problems
        merged.bad |= layer.bad
        merged.notes += layer.notes
    return merged


def from_mapping(values: Mapping[str, Any], fields: Fields, origin: str) -> Layer:
    """A framework's dict, keys in upper or lower case."""
    return canonical(
        (
            Entry(key.lower() if key.isupper() else key, _lower_keys(key, value), origin, key)
            for key, value in ((str(key), value) for key, value in values.items())
        ),
        fields,
    )


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
        name = split_unit(key.lower())[0] if key.isupper() else key
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
                mend = _did_you_mean(variable, [f"{PREFIX}{known}" for known in upper])
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


def canonical(entries: Iterable[Entry], fields: Fields) -> Layer:
    """Entries by the settings' own names, durations as timedeltas, contradictions refused."""
    layer = Layer()
    spelt: dict[str, str] = {}
    known = [*with_units(fields)]
    for entry in entries:
        name, unit = split_unit(entry.key)
        label = "" if entry.origin.endswith(entry.written) else f"{entry.written}: "
        if name not in fields:
            upper = entry.written.isupper()
            names = [key.upper() for key in known] if upper else known
            mend = _did_you_mean(entry.written, names)
            layer.wrong(entry.origin, f"{label}unknown setting{mend}")
            continue
        if name in spelt:
            layer.wrong(
                entry.origin,
                f"{entry.written} contradicts {spelt[name]}: both set {name}, keep one",
                name,
            )
            continue
        spelt[name] = entry.written
        value = entry.value
        try:
            if name in DURATIONS:
                value = as_duration(name, unit, value)
            elif name == "policies":
                value = _plain_policies(value)
        except ValueError as error:
            message = str(error)
            if entry.written.isupper():
                for spelling in with_units([name]):
                    message = message.replace(spelling, spelling.upper())
            for line in message.split("\n"):
                layer.wrong(entry.origin, f"{label}{line}", name)
            continue
        layer.given[name] = Given(value, entry.origin)
    return layer


def parse(text: str, kind: str, nullable: bool) -> Any:
    """What a variable's text means for a setting of this kind.

    Raises:
        ValueError: the message tells how to write it; it never holds the text, which may be
            secret.
    """
    if text != text.strip() or not text:
        raise ValueError("is empty or has spaces around it: unset it, or mend it")
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
    except ValueError:
        value = None
    if not isinstance(value, list if kind == "list" else dict):
        raise ValueError(f"must be a JSON {kind if kind == 'list' else 'object'}: {example}")
    return value


def _kind(name: str, info: FieldInfo) -> tuple[str, bool]:
    """How a variable for this field is written, and whether it may be null."""
    annotation = info.annotation
    options = get_args(annotation) if get_origin(annotation) is UnionType else (annotation,)
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


def _plain_policies(value: object) -> object:
    """Policies with timedeltas, so that mouths can be merged limit by limit."""
    if not isinstance(value, Mapping):
        return value
    plain: dict[object, object] = {}
    wrong: list[str] = []
    for name, content in value.items():
        plain[name] = content
        if isinstance(content, Mapping):
            plain[name], errors = plain_policy(content)
            wrong += [f"{name}.{error}" for error in errors]
    if wrong:
        raise ValueError("\n".join(wrong))
    return plain


def _over(below: Given | None, above: Given, name: str) -> Given:
    """The later mouth wins; policies are laid over each other limit by limit."""
    if below is None or name != "policies":
        return above
    if not isinstance(below.value, Mapping) or not isinstance(above.value, Mapping):
        return above
    merged = dict(below.value)
    for policy, content in above.value.items():
        lower = merged.get(policy)
        if isinstance(lower, dict) and isinstance(content, dict):
            merged[policy] = {**lower, **content}
        else:
            merged[policy] = content
    return Given(merged, f"{below.origin} + {above.origin}")


def _lower_keys(key: str, value: object) -> object:
    if key.lower() != "policies" or not isinstance(value, Mapping):
        return value
    return {
        name: {str(inner).lower(): item for inner, item in content.items()}
        if isinstance(content, Mapping)
        else content
        for name, content in value.items()
    }


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""


_FILES = (*(f"{name}_file" for name in FROM_FILE), CONFIG_FILE)
