"""The pages under docs/ are true to the code: names, tests and links exist, and the list of
settings is written from the model. `python -m tests.test_docs` writes that list anew."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import openclaw_middleware
from openclaw_middleware import SessionSettings
from openclaw_middleware.config_schema import file_schema
from openclaw_middleware.config_units import DURATIONS, UNITS
from openclaw_middleware.core.policy import PRESETS
from tests.architecture import PACKAGE, ROOT, modules

DOCS = ROOT / "docs"
CONFIGURATION = DOCS / "configuration.md"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / ".github" / "SECURITY.md"]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

STATES = {"met", "partly", "yours", "not yet", "n/a"}
V7 = {
    *(f"7.1.{n}" for n in range(1, 4)),
    *(f"7.2.{n}" for n in range(1, 5)),
    *(f"7.3.{n}" for n in range(1, 3)),
    *(f"7.4.{n}" for n in range(1, 6)),
    *(f"7.5.{n}" for n in range(1, 4)),
    *(f"7.6.{n}" for n in range(1, 3)),
}
AROUND = {
    *(f"3.3.{n}" for n in range(1, 6)),
    *(f"3.5.{n}" for n in range(1, 4)),
    *(f"9.1.{n}" for n in range(1, 4)),
    *(f"11.2.{n}" for n in range(1, 6)),
    *(f"11.3.{n}" for n in range(1, 5)),
    *(f"11.4.{n}" for n in range(1, 5)),
    *("11.5.1", "11.5.2", "14.2.1", "14.3.1", "14.3.2", "14.3.3"),
    *("16.2.5", *(f"16.3.{n}" for n in range(1, 5)), *(f"16.5.{n}" for n in range(1, 5))),
}

# What a name in the column "by what" may be, beside settings, presets and things in modules.
OTHER_NAMES = {"__Host-", "__Secure-", "__Host-session", "__Secure-session", "session"} | {
    "sessionid",
    "random",
    "secrets.token_bytes",
}


# -- the list of settings -----------------------------------------------------------------------

GROUPS = {
    "secret_key": "Keys and store",
    "idle_timeout": "How long sessions live",
    "cookie_name": "The cookie",
    "codec": "How data are written",
    "max_sessions_per_user": "Limits, conflicts, outages",
    "skip_paths": "Requests and people",
    "enable_heartbeat": "The heartbeat",
}
MARK = "<!-- From here on written by `python -m tests.test_docs`. -->\n"


def parts_of(name: str) -> tuple[str, str, str]:
    """Type and unit, default, and what it does: as the model's description says them."""
    description = str(SessionSettings.model_fields[name].description)
    match = re.fullmatch(r"(?P<kind>[^\[]+?) \[(?P<default>.+?)\](?P<more>.*)", description)
    if match is None:
        kind, _, effect = description.partition(". ")
        kind, comma, required = kind.rpartition(", required")
        if not comma:
            kind, _, required = description.partition("; required")
            return kind, "required", required.removeprefix(". ")
        return kind, "required", effect
    more = match["more"]
    note, _, effect = more.partition(". ") if more.startswith(";") else ("", "", more[2:])
    return match["kind"] + note, match["default"], effect


def spelled(name: str) -> str:
    """The key as files and the environment have it, in the unit people think of it in."""
    return f"{name}_{DURATIONS[name]}" if name in DURATIONS else name


def configuration() -> str:
    """The page docs/configuration.md: its head as it is, then the tables."""
    head, mark, _ = CONFIGURATION.read_text().partition(MARK)
    lines = [head + mark]
    for name in SessionSettings.model_fields:
        if name in GROUPS:
            lines += [
                f"\n## {GROUPS[name]}\n",
                "| setting | type and unit | default | what it does |",
            ]
            lines += ["|---|---|---|---|"]
        kind, default, effect = (part.replace("|", "\\|") for part in parts_of(name))
        key = f"`{name}`"
        if name in DURATIONS:
            key += f"<br>in files `{spelled(name)}`"
        lines.append(f"| {key} | {kind} | {default} | {effect} |")
    lines += [
        "\n## Lifetimes that are always there\n",
        "| policy | idle | absolute | cookie |",
        "|---|---|---|---|",
    ]
    for name, policy in PRESETS.items():
        idle = "none" if policy.idle == policy.absolute else worded(policy.idle)
        kept = "outlives the browser" if policy.persistent else "ends with the browser"
        lines.append(f"| `{name}` | {idle} | {worded(policy.absolute)} | {kept} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def worded(seconds: float) -> str:
    """A duration in its largest whole unit."""
    for unit, size in sorted(UNITS.items(), key=lambda pair: -pair[1]):
        if seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {unit if count > 1 else unit[:-1]}"
    raise AssertionError(seconds)


def test_the_list_of_settings_is_the_models() -> None:
    written = CONFIGURATION.read_text()
    assert written == configuration(), "run: python -m tests.test_docs"


@pytest.mark.parametrize("name", SessionSettings.model_fields)
def test_each_setting_says_type_default_and_consequence(name: str) -> None:
    kind, default, effect = parts_of(name)
    assert kind
    assert default
    assert len(effect) > 20
    assert not re.search(r"[\[\]]", kind + default + effect)
    required = SessionSettings.model_fields[name].is_required()
    assert (default == "required") is required


def test_keys_in_files_are_those_of_the_schema() -> None:
    keys = file_schema()["properties"]["session"]["properties"]
    assert {spelled(name) for name in SessionSettings.model_fields} <= set(keys)


def test_every_setting_has_an_effect() -> None:
    """What is read outside of the settings' own modules has an effect."""
    read: set[str] = set()
    own = {"config_keys.py", "config_checks.py", "config_arguments.py"}
    for path in modules():
        if path.name in own:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                read.add(node.attr)
    assert set(SessionSettings.model_fields) - read == set()


# -- tables, tests, names, links ----------------------------------------------------------------


def rows(page: Path) -> list[dict[str, str]]:
    """The rows of every table of a page, by column."""
    found: list[dict[str, str]] = []
    head: list[str] = []
    for line in page.read_text().splitlines():
        if not line.startswith("|"):
            head = []
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if not head:
            head = cells
        elif set(line) - set("|-: "):
            assert len(cells) == len(head), line
            found.append(dict(zip(head, cells, strict=True)))
    return found


def requirements() -> list[dict[str, str]]:
    return [row for row in rows(DOCS / "security.md") if "state" in row]


@cache
def functions(path: Path) -> frozenset[str]:
    """Every function and class of a module, with the class it stands in and without."""
    found: set[str] = set()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, kinds):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{each.name}" for each in node.body if isinstance(each, kinds)}
    return frozenset(found)


@cache
def scenarios() -> frozenset[str]:
    """The names in the table of scenarios, as written."""
    found: set[str] = set()
    for path in (ROOT / "tests" / "drivers").glob("scenarios*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Scenario":
                name = node.args[0]
                assert isinstance(name, ast.Constant)
                found.add(name.value)
    return frozenset(found)


def named_tests(text: str) -> list[str]:
    return re.findall(r"`((?:tests|openclaw_middleware)/[^`]*?\.py(?:::[^`]+)?)`", text)


def fault_of(reference: str) -> str | None:
    """What is wrong with `path.py::Class::test`, None when it is there."""
    path, _, name = reference.partition("::")
    name, _, parameter = name.partition("[")
    if not (ROOT / path).is_file():
        return f"{path} is not there"
    if name and name not in functions(ROOT / path):
        return f"{path} has no {name}"
    if name and path.startswith("tests/") and not re.search(r"(^|::)(test_|Test)", name):
        return f"{name} is no test"
    if parameter and parameter.removesuffix("]") not in scenarios():
        return f"there is no scenario {parameter}"
    return None


@every_page
def test_every_named_test_exists(page: Path) -> None:
    faults = [fault_of(reference) for reference in named_tests(page.read_text())]
    assert [fault for fault in faults if fault] == []


@pytest.mark.parametrize(
    "wrong",
    [
        "tests/test_nowhere.py::test_x",
        "tests/test_docs.py::test_nothing_like_it",
        "tests/test_docs.py::rows",
        "tests/test_docs.py::TestX::test_every_named_test_exists",
        "tests/drivers/test_scenarios.py::test_scenario[no such scenario]",
    ],
)
def test_a_wrong_reference_is_noticed(wrong: str) -> None:
    assert named_tests(f"| `{wrong}` |") == [wrong]
    assert fault_of(wrong)


def test_every_item_of_asvs_v7_is_there() -> None:
    items = [row["item"] for row in requirements() if "item" in row]
    assert len(items) == len(set(items))
    assert {item for item in items if item.startswith("7.")} == V7
    assert set(items) >= AROUND


def test_every_state_is_one_of_those_explained_and_rests_on_something() -> None:
    explained = set(re.findall(r"^- \*\*(.+?)\*\*:", (DOCS / "security.md").read_text(), re.M))
    assert explained == STATES
    for row in requirements():
        assert row["state"] in STATES, row
        shown = named_tests(row["shown by"])
        if row["state"] in ("met", "partly"):
            assert any("test_" in each.partition("::")[2] for each in shown), row
        if row["state"] != "yours":
            assert row["by what, or why not"], row


def resolve(name: str) -> bool:
    """Whether a name in the column "by what" is a setting, a preset, or something in the code."""
    if name in SessionSettings.model_fields or name in PRESETS or name in OTHER_NAMES:
        return True
    path, _, inside = name.partition("::")
    if path.endswith(".py"):
        module = PACKAGE / path
        return module.is_file() and (not inside or inside in functions(module))
    found: Any = openclaw_middleware
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is not None


def test_every_name_in_the_answers_exists() -> None:
    for row in requirements():
        for name in re.findall(r"`([^`]+)`", row["by what, or why not"]):
            assert resolve(name), f"{name} in {row}"
    assert not resolve("idle_timout")
    assert not resolve("Session.log_out")
    assert not resolve("core/nowhere.py")


def test_every_promise_has_tests_and_its_place() -> None:
    text = (DOCS / "promises.md").read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    promises = [section for section in sections if section.startswith("P")]
    assert [section.split()[0] for section in promises] == [f"P{n}" for n in range(1, 14)]
    for section in promises:
        shown = section.partition("Shown by:")[2].partition("Does not hold")[0]
        assert len(named_tests(shown)) >= 3, section


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text())
    for target, anchor in links:
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


@every_page
def test_a_page_stands_alone(page: Path) -> None:
    """No page names a machine's paths, and each begins with its title."""
    text = page.read_text()
    assert text.startswith("# ")
    assert not re.search(r"/(work|home|root)/", text)


if __name__ == "__main__":
    CONFIGURATION.write_text(configuration())
