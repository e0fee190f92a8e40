"""The shape of the package: who may import whom, and how big a module may be."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import (
    NAME,
    OPTIONAL,
    OUTER,
    PACKAGE,
    RINGS,
    ROOT,
    imports_of,
    modules,
    part_of,
)

every_module = pytest.mark.parametrize(
    "path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix()
)


@every_module
def test_imports_point_inward(path: Path) -> None:
    """Core knows nothing but itself; codecs and stores know core and never each other."""
    part = part_of(path)
    allowed = RINGS.get(part)

    for found in imports_of(path):
        if found.part is None or part in OUTER:
            continue
        where = f"{path.name}:{found.line} imports {found.module}"
        assert found.part not in OUTER, where
        if allowed is not None:
            assert found.part in allowed, where


@every_module
def test_adapters_are_imported_by_nobody(path: Path) -> None:
    """A framework stays the business of its own adapter; only test helpers know several."""
    if part_of(path) in {"adapters", "testing"}:
        return

    assert [found.line for found in imports_of(path) if found.part == "adapters"] == []


@every_module
def test_core_and_errors_need_the_standard_library_only(path: Path) -> None:
    """The part that decides can be read, tested and trusted alone."""
    if part_of(path) not in {"core", "errors"}:
        return

    foreign = [found.module for found in imports_of(path) if not found.part and not found.standard]
    assert foreign == []


@every_module
def test_a_module_loads_at_most_one_optional_library(path: Path) -> None:
    """A store loads its own driver, a codec its own format; others only when called."""
    if part_of(path) in OUTER:
        return
    eager = {found.library for found in imports_of(path) if not found.lazy} & OPTIONAL

    assert len(eager) <= 1, eager
    if path.name in {"__init__.py", "base.py", "url.py"}:
        assert not eager


@every_module
def test_every_module_says_what_it_is_for(path: Path) -> None:
    """The first thing in a module is a sentence about it."""
    assert ast.get_docstring(ast.parse(path.read_text()))


@every_module
def test_no_module_is_too_long_to_read_in_one_sitting(path: Path) -> None:
    """Past 400 lines a module is two."""
    lines = path.read_text().count("\n")

    assert lines <= 400


def test_importing_the_package_loads_no_optional_library() -> None:
    """A Flask site pays nothing for Django, Redis or SQLAlchemy being installed."""
    script = f"import json, sys, {NAME}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert OPTIONAL & {name.partition(".")[0] for name in json.loads(done.stdout)} == set()


def test_public_names_are_sorted_and_there() -> None:
    """`__all__` can be read by eye, and every name in it can be imported."""
    package = importlib.import_module(NAME)
    names = list(getattr(package, "__all__", []))

    assert names == sorted(names)
    assert [name for name in names if not hasattr(package, name)] == []


def test_the_package_was_found() -> None:
    """The rules above are not kept by looking at nothing."""
    parts = {part_of(path) for path in modules()}

    assert PACKAGE.is_dir()
    assert {"core", "stores", "errors"} <= parts


WRONG = {
    "core/clock.py": ("import itsdangerous", test_core_and_errors_need_the_standard_library_only),
    "core/late.py": ("def f():\n    from .. import stores", test_imports_point_inward),
    "stores/odd.py": ("from ..codecs import json", test_imports_point_inward),
    "codecs/odd.py": (f"import {NAME}.stores.memory", test_imports_point_inward),
    "manager.py": ("from . import adapters", test_adapters_are_imported_by_nobody),
    "asgi.py": ("if True:\n    from .cli import main", test_imports_point_inward),
    "stores/two.py": (
        "import redis.asyncio, sqlalchemy",
        test_a_module_loads_at_most_one_optional_library,
    ),
    "stores/base.py": ("import redis", test_a_module_loads_at_most_one_optional_library),
    "bare.py": ("x = 1", test_every_module_says_what_it_is_for),
    "long.py": ("\n" * 401, test_no_module_is_too_long_to_read_in_one_sitting),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_rule_notices_when_it_is_broken(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that cannot fail protects nothing."""
    source, rule = WRONG[name]
    path = tmp_path / NAME / name
    path.parent.mkdir(parents=True)
    path.write_text(source)
    monkeypatch.setattr("tests.architecture.ROOT", tmp_path)
    monkeypatch.setattr("tests.architecture.PACKAGE", tmp_path / NAME)

    with pytest.raises(AssertionError):
        rule(path)


def test_a_type_checking_import_is_lazy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming a driver's types for the checker does not load the driver."""
    monkeypatch.setattr("tests.architecture.ROOT", tmp_path)
    (tmp_path / NAME).mkdir()
    path = tmp_path / NAME / "typed.py"
    path.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import redis\n"
        "from .core import record\nfrom ..x import y\n"
    )

    assert [(found.module, found.lazy) for found in imports_of(path)] == [
        ("typing.TYPE_CHECKING", False),
        ("redis", True),
        (f"{NAME}.core.record", False),
        ("x.y", False),
    ]
