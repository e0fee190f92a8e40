"""What one mouth said: values by the settings' own names, each with where it came from.

However a mouth spells its keys, it ends here, so that units, unknown keys and contradictions are
treated alike in all of them. Which mouth wins is decided in `config_mouths`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic.fields import FieldInfo

from .config_policies import plain_policy
from .config_units import DURATIONS, as_duration, nearest, split_unit, with_units

# Not a setting: it names the file that holds them.
CONFIG_FILE = "config_file"

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
            mend = did_you_mean(entry.written, names)
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


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?`, or nothing."""
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""
