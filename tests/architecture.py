"""The import rules of the package as data, and the reading of its sources that checks them.

Nothing is imported here: a rule about imports is judged by what is written.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "openclaw_middleware"
NAME = PACKAGE.name

RINGS: dict[str, set[str]] = {
    # A part of the package, and the parts it may import; all may use the standard library.
    "errors": {"errors"},
    "core": {"core", "errors"},
    "codecs": {"codecs", "core", "errors"},
    "stores": {"stores", "core", "errors"},
}

OUTER = {"adapters", "cli", "monitoring", "testing", "__main__"}
"""Parts that may import anything inward, and that nothing inside imports."""

_SQL = {"aiomysql", "aiosqlite", "asyncmy", "greenlet", "psycopg", "pymysql", "sqlalchemy"}
_ENGINES = {"aiomcache", "boto3", "botocore", "bson", "hiredis", "pymemcache", "pymongo", "redis"}
_FRAMEWORKS = {"django", "fastapi", "flask", "flask_login", "jinja2", "starlette", "werkzeug"}
_TOOLS = {"cryptography", "opentelemetry", "prometheus_client", "pytest", "uvicorn", "webtest"}

OPTIONAL = _SQL | _ENGINES | _FRAMEWORKS | _TOOLS | {"yaml", "zstandard"}
"""Libraries that come with an extra; `import openclaw_middleware` must do without."""


@dataclass(frozen=True)
class Import:
    """One imported name: `module` is absolute and dotted; `lazy` means not at import time."""

    module: str
    line: int
    lazy: bool

    @property
    def library(self) -> str:
        return self.module.partition(".")[0]

    @property
    def part(self) -> str | None:
        """The part of our package it names (`core`, `errors`, ...), or None for a library."""
        if self.library != NAME:
            return None
        _, _, inside = self.module.partition(".")
        return inside.partition(".")[0]

    @property
    def standard(self) -> bool:
        return self.library in sys.stdlib_module_names


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def part_of(path: Path) -> str:
    """Return which part of the package a module belongs to; "" is the package itself."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py").replace("__init__", "")


def imports_of(path: Path) -> list[Import]:
    """Return everything the module imports, in functions and under `TYPE_CHECKING` too."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    return list(_imports(ast.parse(path.read_text()), package, lazy=False))


def _imports(node: ast.AST, package: str, *, lazy: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, node.lineno, lazy)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, base] if base else above)
        for alias in node.names:  # the name may be a module itself: `from . import errors`
            yield Import(f"{base}.{alias.name}", node.lineno, lazy)
    deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for statement in node.body:
            yield from _imports(statement, package, lazy=True)
        for statement in node.orelse:
            yield from _imports(statement, package, lazy=lazy)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, package, lazy=lazy or deferred)
