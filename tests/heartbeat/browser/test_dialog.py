"""The dialog in a real browser, on each framework: warned, extended, in step, never wrong."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.heartbeat.sites import PREFIX, Site

from .conftest import Meet
from .people import later

IDLE, LEAD = 1800.0, 120.0


class TestTabs:
    def test_extended_in_one_tab_is_extended_in_the_other(
        self, site: Site, meet: Meet, name: str
    ) -> None:
        ada = meet(site)
        first = ada.sign_in(name)
        second = ada.tab()
        second.settled("active")
        later(IDLE - LEAD + 1, ada)
        expect(first.dialog).to_be_visible()
        expect(second.dialog).to_be_visible()
        before = site.pings()
        first.press("Stay signed in")
        expect(second.dialog).to_be_hidden()
        expect(first.dialog).to_be_hidden()
        assert second.behind(first, "extended") < 1
        assert site.pings() == before + 1
        assert first.status()["left"] > IDLE - 20
        assert second.status()["left"] > IDLE - 20

    def test_two_people_do_not_touch_each_other(self, site: Site, meet: Meet, name: str) -> None:
        ada, bob = meet(site), meet(site)
        hers, his = ada.sign_in(f"ada {name}"), bob.sign_in(f"bob {name}")
        assert hers.status()["session"] != his.status()["session"]
        later(IDLE - LEAD + 1, ada, bob)
        expect(hers.dialog).to_be_visible()
        expect(his.dialog).to_be_visible()
        hers.press("Stay signed in")
        expect(hers.dialog).to_be_hidden()
        later(LEAD, ada, bob)
        his.settled("ended", reason="idle")
        hers.settled("active")
        assert [site.sessions(f"{each} {name}") != [] for each in ("ada", "bob")] == [True, False]

    def test_a_new_login_in_one_tab_is_not_mixed_with_the_old(
        self, site: Site, meet: Meet, name: str
    ) -> None:
        """The first tab follows to whoever is signed in now, and is told so."""
        ada = meet(site)
        first = ada.sign_in(f"ada {name}")
        before = first.status()["session"]
        second = ada.tab("/login")
        second.sign_in(f"bob {name}")
        session = second.settled("active")["session"]
        assert session != before
        first.settled("active", session=session)
        assert len(first.heard("changed")) == 1
        expect(first.dialog).to_be_hidden()

    def test_signed_out_in_one_tab_is_signed_out_in_the_other(
        self, site: Site, meet: Meet, name: str
    ) -> None:
        ada = meet(site)
        first = ada.sign_in(name)
        second = ada.tab()
        second.settled("active")
        later(IDLE - LEAD + 1, ada)
        expect(second.dialog).to_be_visible()
        first.press("Sign out")
        expect(second.dialog).to_contain_text("signed out")
        for tab in (first, second):
            assert tab.settled("ended")["reason"] == "signed_out"
        assert second.behind(first, "ended") < 1
        assert site.sessions(name) == []
        assert ada.context.cookies() == []


class TestTime:
    def test_an_hour_asleep_is_no_hour_signed_in(self, site: Site, meet: Meet, name: str) -> None:
        """The clock jumps: no warning that would be late, and no heartbeat that would be a lie."""
        ada = meet(site)
        tab = ada.sign_in(name)
        before = site.pings()
        later(3600, ada)
        assert tab.settled("ended")["reason"] == "idle"
        expect(tab.dialog).to_contain_text("not been active")
        assert tab.heard("warning") == []
        assert site.pings() == before

    def test_nobody_there_is_nobody_reported(self, site: Site, meet: Meet, name: str) -> None:
        """No input, or input that a script made up: not one heartbeat until the end."""
        ada = meet(site)
        tab = ada.sign_in(name)
        before = site.pings()
        for _ in range(12):
            tab.page.evaluate(
                """() => {
                    for (const type of ["pointerdown", "keydown", "wheel", "input", "click"]) {
                        document.body.dispatchEvent(new Event(type, { bubbles: true }));
                    }
                }"""
            )
            later(150, ada)
        later(1, ada)
        assert tab.settled("ended")["reason"] == "idle"
        assert site.pings() == before

    def test_whoever_works_is_never_asked(self, site: Site, meet: Meet, name: str) -> None:
        """An hour of typing in one page, without a request of the page's own."""
        ada = meet(site)
        tab = ada.sign_in(name)
        before = site.pings()
        for _ in range(24):
            tab.type("a")
            later(150, ada)
        tab.settled("active")
        assert tab.heard("warning") == []
        assert len(site.sessions(name)) == 1
        assert 6 <= site.pings() - before <= 12

    def test_the_absolute_limit_is_announced_and_not_extended(
        self, site: Site, meet: Meet, name: str
    ) -> None:
        ada = meet(site)
        tab = ada.sign_in(name, "brief")
        for _ in range(6):
            tab.type("a")
            later(90, ada)
        tab.settled("active")
        tab.type("a")
        later(70, ada)
        tab.settled("absolute")
        expect(tab.dialog).to_contain_text("cannot be extended")
        expect(tab.dialog.get_by_role("button", name="Stay signed in")).to_be_hidden()
        tab.press("Close")
        expect(tab.dialog).to_be_hidden()
        tab.type("b")
        later(301, ada)
        assert tab.settled("ended")["reason"] == "absolute"


class TestOutages:
    def test_offline_is_not_expired(self, site: Site, meet: Meet, name: str) -> None:
        """Warned, told that the server is out of reach, and back as soon as the network is."""
        ada = meet(site)
        tab = ada.sign_in(name)
        ada.context.set_offline(True)
        later(IDLE - LEAD + 1, ada)
        expect(tab.dialog).to_contain_text("No connection")
        tab.press("Stay signed in")
        later(30, ada)
        expect(tab.dialog).to_be_visible()
        assert tab.heard("ended") == []
        ada.context.set_offline(False)
        expect(tab.dialog).to_be_hidden()
        assert tab.settled("active")["left"] > IDLE - 60

    def test_offline_past_the_end_is_not_known(self, site: Site, meet: Meet, name: str) -> None:
        """Nobody can say whether it has ended, until the server does."""
        ada = meet(site)
        tab = ada.sign_in(name)
        ada.context.set_offline(True)
        later(IDLE - LEAD + 1, ada)
        expect(tab.dialog).to_contain_text("No connection")
        later(LEAD, ada)
        tab.settled("unverified")
        expect(tab.dialog).to_contain_text("No connection")
        assert tab.heard("ended") == []
        ada.context.set_offline(False)
        assert tab.settled("ended")["reason"] == "idle"

    @pytest.mark.parametrize("what", ["500", "store", "gone"])
    def test_an_extension_is_confirmed_or_tried_again(
        self, site: Site, meet: Meet, name: str, what: str
    ) -> None:
        """A server that fails, whose store is out of reach, or that does not run at all."""
        ada = meet(site)
        tab = ada.sign_in(name)
        later(IDLE - LEAD + 1, ada)
        expect(tab.dialog).to_be_visible()
        if what == "500":
            site.answer(f"{PREFIX}heartbeat", 500)
        elif what == "store":
            site.outage(True)
        else:
            site.stop()
        tab.press("Stay signed in")
        expect(tab.dialog).to_contain_text("No connection")
        if what == "500":
            site.answer(f"{PREFIX}heartbeat", None)
        elif what == "store":
            site.outage(False)
        else:
            site.start()
        later(10, ada)
        expect(tab.dialog).to_be_hidden()
        assert tab.status()["left"] > IDLE - 60
        assert tab.heard("ended") == []
        assert len(site.sessions(name)) == 1
