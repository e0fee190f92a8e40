"""What pages in a stricter area are told, and that a heartbeat does not open one again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from openclaw_middleware import Policy, Session
from tests.drivers.runners import RUNNERS

from .pages import Page


@pytest.fixture(params=RUNNERS, ids=lambda each: each.name)
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    page = Page(
        request.param,
        policies={"strict": Policy(300, 3600)},
        policy_paths={"/admin": "strict", "/admin/login": "default"},
    )
    yield page
    page.runner.close()


def sign_in(session: Session) -> str:
    session.login("ada")
    return "in"


def told(page: Page, path: str) -> tuple[Any, ...]:
    answer = page.status(f"path={path}")
    return answer["status"], answer["state"], answer["idle_left"], answer["absolute_left"]


def test_the_clocks_are_those_of_the_page(page: Page) -> None:
    page.visit(sign_in)
    page.world.clock.advance(100)
    assert told(page, "/admin/users") == (200, "active", 200, 3500)
    assert told(page, "/admin/login") == (200, "active", 1700, 28700)
    assert told(page, "/shop") == (200, "active", 1700, 28700)
    assert page.status()["idle_left"] == 1700
    answer = page.status("path=/admin")
    assert (answer["heartbeat_interval"], answer["warning_lead"]) == (50, 120)


@pytest.mark.parametrize("path", ["/%61dmin/x", "/admin/caf%C3%A9", "//admin"])
def test_a_path_may_be_spelled_as_in_the_address_bar(page: Page, path: str) -> None:
    page.visit(sign_in)
    page.world.clock.advance(100)
    assert told(page, quote(path, safe="")) == (200, "active", 200, 3500)
    page.world.clock.advance(200)
    answer = page.beat(idle=0, path=path)
    assert (answer["state"], answer["extended"]) == ("stale", False)


def test_an_area_is_stale_and_the_rest_goes_on(page: Page) -> None:
    page.visit(sign_in)
    page.world.clock.advance(300)
    assert told(page, "/admin") == (200, "stale", 1500, 28500)
    assert told(page, "/") == (200, "active", 1500, 28500)


def test_a_page_nobody_was_at_is_not_opened_by_moving_the_mouse(page: Page) -> None:
    page.visit(sign_in)
    page.world.clock.advance(300)
    answer = page.beat(idle=0, path="/admin")
    assert (answer["status"], answer["state"], answer["extended"]) == (200, "stale", False)
    answer = page.beat(idle=0, path="/")
    assert (answer["state"], answer["extended"]) == ("active", True)


def test_an_old_sign_in_keeps_nobody_from_staying_elsewhere(page: Page) -> None:
    page.visit(sign_in)
    for _ in range(12):
        page.world.clock.advance(299)
        page.beat(idle=0, path="/admin")
    page.world.clock.advance(100)
    answer = page.beat(idle=0, path="/admin")
    assert (answer["state"], answer["extended"]) == ("stale", True)
    assert (answer["idle_left"], answer["absolute_left"]) == (1800, 28800 - 3688)


def test_a_longer_policy_for_a_workflow_is_told(page: Page) -> None:
    page.visit(sign_in)

    def begin_upload(session: Session) -> str:
        session.use_policy("remember")
        return str(session.info.policy)

    assert page.visit(begin_upload).body == b"remember"
    assert told(page, "/upload") == (200, "active", 14 * 86400, 90 * 86400)
    assert told(page, "/admin") == (200, "active", 300, 3600)
