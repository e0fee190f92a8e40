"""Why a session ended, as its page tells it, on each framework."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.heartbeat.sites import PREFIX, Site

from .conftest import Meet
from .people import Person, Tab, later

INTERVAL = 300.0
"""Seconds between heartbeats, with the package's own limits."""


def act(tab: Tab) -> None:
    """Do something, and let the next heartbeat tell of it."""
    tab.type("a")
    later(INTERVAL + 1, tab.person)


def revoke(site: Site, meet: Meet, ada: Person, name: str) -> None:
    site.revoke(name)


def sign_out(site: Site, meet: Meet, ada: Person, name: str) -> None:
    """In another browser that has the same cookie."""
    twin = meet(site)
    twin.copy(ada)
    twin.tab().page.get_by_role("button", name="Leave").click()


def sign_in_too_often(site: Site, meet: Meet, ada: Person, name: str) -> None:
    for _ in range(2):
        other = meet(site).context.request
        assert other.post(f"{site.url}/login", form={"name": name}).ok


def replace(site: Site, meet: Meet, ada: Person, name: str) -> None:
    """A new session takes over, and this browser did not hear of it."""
    twin = meet(site)
    twin.copy(ada)
    assert twin.context.request.post(f"{site.url}/renew").ok


def steal(site: Site, meet: Meet, ada: Person, name: str) -> None:
    """A thief holds an old secret; the owner has gone on to the next one."""
    thief = meet(site)
    thief.copy(ada)
    site.advance(901)
    for _ in range(2):
        assert ada.context.request.get(f"{site.url}/me").ok
    site.advance(60)
    assert thief.context.request.get(f"{site.url}/me").status == 401


def forget(site: Site, meet: Meet, ada: Person, name: str) -> None:
    site.forget(name)


WAYS: dict[str, Any] = {
    "revoked": revoke,
    "signed_out": sign_out,
    "limit": sign_in_too_often,
    "replaced": replace,
    "theft": steal,
    "gone": forget,
}
SAID = {"revoked": "ended elsewhere", "limit": "another device"}


@pytest.mark.parametrize("reason", WAYS)
def test_the_reason_is_told(site: Site, meet: Meet, name: str, reason: str) -> None:
    """On the page, and to whoever listens on the server: the page had believed it alive."""
    ada = meet(site)
    tab = ada.sign_in(name)
    WAYS[reason](site, meet, ada, name)
    losses = len(site.events("ClientLost"))
    act(tab)
    assert tab.settled("ended")["reason"] == reason
    assert [each["reason"] for each in tab.heard("ended")] == [reason]
    expect(tab.dialog).to_contain_text(SAID.get(reason, "signed out"))
    # Somebody signed themselves out: that is no loss.
    expected = 0 if reason == "signed_out" else 1
    assert wait_for(lambda: len(site.events("ClientLost")) - losses == expected, tab)
    if expected:
        lost = site.events("ClientLost")[-1]
        assert (lost["state"], lost["reason"]) == ("ended", reason)
        assert lost["believed_left"] > INTERVAL


def wait_for(condition: Any, tab: Tab) -> bool:
    """Whether it comes true within a few seconds; for what a page sends without waiting."""
    for _ in range(100):
        if condition():
            return True
        tab.page.wait_for_timeout(20)
    return False


def test_nothing_typed_is_lost_at_the_end(site: Site, meet: Meet, name: str) -> None:
    """The page is covered; after a new sign-in in another tab it is there again, text and all."""
    ada = meet(site)
    tab = ada.sign_in(name)
    tab.type("half a novel")
    site.revoke(name)
    later(INTERVAL + 1, ada)
    tab.settled("ended")
    with ada.context.expect_page() as opened:
        tab.dialog.get_by_role("link", name="Sign in again").click()
    Tab(ada, opened.value).sign_in(name)
    tab.page.bring_to_front()
    tab.page.evaluate("dispatchEvent(new Event('focus'))")
    expect(tab.dialog).to_be_hidden()
    assert tab.page.get_by_label("Your text").input_value() == "half a novel"
    tab.page.get_by_role("button", name="Save").click()
    expect(tab.page.get_by_label("Your text")).to_have_value("half a novel")


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [("on-end=reload", "/login?next=/"), ("on-end=redirect&end-url=/login?out", "/login?out")],
    ids=["reload", "redirect"],
)
def test_the_page_may_be_left_instead(
    site: Site, meet: Meet, name: str, attributes: str, wanted: str
) -> None:
    ada = meet(site)
    tab = ada.sign_in(name, path=f"/?{attributes}")
    later(3600, ada)
    tab.page.wait_for_url(site.url + wanted)


@pytest.mark.parametrize("status", [200, 302])
def test_a_login_page_in_place_of_an_answer_is_recognised(
    site: Site, meet: Meet, name: str, status: int
) -> None:
    """What stands between the browser and the server wants a sign-in: our session has not ended."""
    ada = meet(site)
    tab = ada.sign_in(name)
    for each in ("status", "heartbeat"):
        site.answer(PREFIX + each, status, "/login" if status == 302 else "")
    act(tab)
    assert tab.settled("ended")["state"] == "login_page"
    assert wait_for(lambda: site.events("ClientLost")[-1]["state"] == "login_page", tab)
    assert len(site.sessions(name)) == 1
    site.mend()
    tab.check()
    tab.settled("active")
    expect(tab.dialog).to_be_hidden()


def test_an_answer_the_application_got_is_enough(site: Site, meet: Meet, name: str) -> None:
    """A single-page application shows its 401 to the keeper, which asks at once."""
    ada = meet(site)
    tab = ada.sign_in(name)
    site.revoke(name)
    told = tab.page.evaluate(
        "fetch('/me').then((r) => document.querySelector('session-keeper').keeper.heard(r))"
    )
    assert told is True
    assert tab.settled("ended")["reason"] == "revoked"
