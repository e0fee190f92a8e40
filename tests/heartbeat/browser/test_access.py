"""The dialog for those who hear it, or have no mouse: on each framework, under its real pages."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.heartbeat.sites import PREFIX, Site

from .conftest import Meet
from .people import later

IDLE, LEAD = 1800.0, 120.0

FOCUSED = """() => {
    let at = document.activeElement;
    while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    return at.closest("dialog") ? "dialog" : at == document.body ? "browser" : at.tagName;
}"""
LISTEN = """() => {
    window.spoken = [];
    const { shadowRoot } = document.querySelector("session-keeper");
    const said = shadowRoot.querySelector("[part~=spoken]");
    const note = () => said.textContent && spoken.push(said.textContent);
    new MutationObserver(note).observe(said, { childList: true, subtree: true });
    note();
}"""


def test_the_open_dialog_has_no_faults_and_keeps_the_focus(
    site: Site, meet: Meet, name: str
) -> None:
    ada = meet(site)
    tab = ada.sign_in(name)
    field = tab.page.get_by_label("Your text")
    field.focus()
    later(IDLE - LEAD + 1, ada)
    expect(tab.dialog).to_be_visible()
    assert tab.violations() == []
    where = []
    for _ in range(8):
        tab.page.keyboard.press("Tab")
        where.append(tab.page.evaluate(FOCUSED))
    assert set(where) <= {"dialog", "browser"}
    assert where.count("dialog") >= 4
    tab.page.keyboard.press("Escape")
    expect(tab.dialog).to_be_hidden()
    expect(field).to_be_focused()
    assert tab.status()["left"] > IDLE - 20
    later(IDLE + 1, ada)
    tab.settled("ended")
    assert tab.violations() == []


def test_escape_closes_nothing_that_is_not_confirmed(site: Site, meet: Meet, name: str) -> None:
    """A browser lets a page refuse the first Escape only."""
    ada = meet(site)
    tab = ada.sign_in(name)
    later(IDLE - LEAD + 1, ada)
    site.answer(f"{PREFIX}heartbeat", 500)
    for _ in range(3):
        tab.page.keyboard.press("Escape")
    expect(tab.dialog).to_contain_text("No connection")
    site.mend()
    later(10, ada)
    expect(tab.dialog).to_be_hidden()
    assert tab.heard("ended") == []


def test_the_time_left_is_said_rarely(site: Site, meet: Meet, name: str) -> None:
    """Each minute, and every 20 seconds of the last one; the eye has the seconds."""
    ada = meet(site)
    tab = ada.sign_in(name)
    later(IDLE - LEAD + 1, ada)
    expect(tab.dialog).to_be_visible()
    tab.page.evaluate(LISTEN)
    for _ in range(11):
        site.advance(10)
        ada.context.clock.run_for(10_000)
    said = tab.page.evaluate("() => spoken.map((text) => text.replace('1 minute', '60 seconds'))")
    assert [int("".join(filter(str.isdecimal, each))) for each in said] == [2, 60, 40, 20]
