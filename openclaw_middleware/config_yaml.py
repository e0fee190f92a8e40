"""Read the `session:` section of a YAML file, strictly, with the line of every key.

YAML 1.1 reads `on` as true, `010` as 8 and `30:00` as 1800; such values are refused rather than
guessed, and so are duplicate keys. PyYAML is imported only when a file is named. No value is ever
quoted in a message: it may be a secret.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config_layers import Entry
from .config_units import nearest
from .errors import ConfigurationError, MissingDependency

if TYPE_CHECKING:
    from yaml import Node

SECTION = "session"
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+", re.ASCII)
_TAG = "tag:yaml.org,2002:"


def read_session(path: str | os.PathLike[str]) -> tuple[list[Entry], list[str]]:
    """Entries of the section, and what is wrong with single values.

    Raises:
        ConfigurationError: the file cannot be read, is no YAML, or has no such section.
        MissingDependency: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise MissingDependency("PyYAML", "yaml") from None
    label = Path(path).name
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigurationError(f"cannot read {os.fspath(path)!r}: {reason}") from None
    broken = ""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        # The text of other errors may quote an alias or tag, which may be an unquoted secret.
        plain = isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError)
        problem = error.problem if plain and "tag" not in str(error.problem) else None
        broken = f"{label}:{line}: not valid YAML: " + (
            problem or "a text that begins with & * ! % @ needs quotes"
        )
    except yaml.YAMLError:
        broken = f"{label}: not valid YAML: it holds characters that YAML does not allow"
    if broken:  # raised here, so that no traceback shows the parser's own error
        raise ConfigurationError(broken)
    return _Reader(label).section(root)


class _Reader:
    def __init__(self, label: str) -> None:
        self.label = label
        self.problems: list[str] = []
        self._open: list[Node] = []

    def section(self, root: Node | None) -> tuple[list[Entry], list[str]]:
        import yaml

        found = None
        keys: list[str] = []
        if isinstance(root, yaml.MappingNode):
            for key, value in root.value:
                keys.append(str(key.value))
                if key.value == SECTION:
                    if found is not None:
                        self._wrong(key, f"{SECTION}: is there twice")
                    found = value
        if found is None:
            near = nearest(SECTION, keys)
            hint = f"; did you mean {SECTION}: where it says {near}:?" if near else ""
            raise ConfigurationError(f"{self.label}: has no `{SECTION}:` section{hint}")
        entries: list[Entry] = []
        if isinstance(found, yaml.MappingNode):
            for key, value, node in self._items(found):
                entries.append(Entry(key, value, f"{self.label}:{node.start_mark.line + 1}", key))
        elif found.tag != f"{_TAG}null":
            self._wrong(found, f"{SECTION}: must hold settings, one per line as `key: value`")
        return entries, self.problems

    def _items(self, mapping: Node) -> list[tuple[str, Any, Node]]:
        seen: dict[str, int] = {}
        items: list[tuple[str, Any, Node]] = []
        for key, value in mapping.value:
            if key.tag != f"{_TAG}str":
                self._wrong(key, "a key must be plain text; put quotes around it")
                continue
            if key.value in seen:
                self._wrong(key, f"{key.value}: is there already in line {seen[key.value]}")
                continue
            seen[key.value] = key.start_mark.line + 1
            before = len(self.problems)
            content = self._value(key.value, value)
            if len(self.problems) == before:
                items.append((key.value, content, key))
        return items

    def _value(self, key: str, node: Node) -> Any:
        import yaml

        if any(node is outer for outer in self._open):
            self._wrong(node, f"{key}: refers to itself")
        elif isinstance(node, yaml.ScalarNode):
            return self._scalar(key, node)
        elif node.tag == f"{_TAG}map":
            self._open.append(node)
            inner = {name: value for name, value, _ in self._items(node)}
            self._open.pop()
            return inner
        elif node.tag == f"{_TAG}seq":
            self._open.append(node)
            listed = [self._value(key, item) for item in node.value]
            self._open.pop()
            return listed
        else:
            self._wrong(node, f"{key}: tags (!...) are not read here")
        return None

    def _scalar(self, key: str, node: Node) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        if kind == "str":
            return text
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if kind == "int" and _INTEGER.fullmatch(text):
            return int(text)
        if kind == "float" and _FLOAT.fullmatch(text):
            return float(text)
        mends = {
            "bool": "write true or false, or put quotes around a text",
            "int": "YAML reads this as another number than it looks like; write a plain decimal "
            "number, or put quotes around a text",
            "float": "write a plain decimal number, or put quotes around a text",
        }
        mend = mends.get(kind, "YAML reads this as a date or tag; put quotes around a text")
        self._wrong(node, f"{key}: {mend}")
        return None

    def _wrong(self, node: Node, message: str) -> None:
        self.problems.append(f"{self.label}:{node.start_mark.line + 1}: {message}")
