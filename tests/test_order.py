"""The long files are there, and begin where several processes run tests."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.architecture import ROOT
from tests.order import LONG, pytest_collection_modifyitems

NODES = ["tests/test_a.py::test_1", "tests/client/test_element.py::test_2", "tests/test_z.py::t"]


@pytest.mark.parametrize("name", LONG.split())
def test_a_long_file_exists(name: str) -> None:
    assert (ROOT / "tests" / f"{name}.py").is_file()


@pytest.mark.parametrize(("config", "first"), [({"workerinput": {}}, 1), ({}, 0)])
def test_it_comes_first_in_a_process_of_several(config: dict[str, Any], first: int) -> None:
    items: list[Any] = [SimpleNamespace(nodeid=each) for each in NODES]
    wanted = items[first]
    pytest_collection_modifyitems(SimpleNamespace(**config), items)  # type: ignore[arg-type]
    assert items[0] is wanted
    assert items[-1].nodeid == NODES[-1]
