"""The sites of the browser tests do what a test orders, in every framework."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .sites import KINDS, PREFIX, Site

OURS = {"x-session-client": "1"}


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with Site(request.param, tmp_path, policies={"brief": [300, 900]}) as site:
        yield site


@pytest.fixture
def ada(site: Site) -> Iterator[httpx2.Client]:
    """Signed in; a client that is no browser has to be told to send a Secure cookie."""
    with httpx2.Client(base_url=site.url) as client:
        answer = client.post("/login", data={"name": "ada", "policy": "brief"})
        cookie = answer.headers["set-cookie"].partition(";")[0]
        client.headers["cookie"] = cookie
        yield client


def status(client: httpx2.Client) -> Any:
    return client.get(f"{PREFIX}status").json()


def test_a_site_obeys(site: Site, ada: httpx2.Client) -> None:
    assert "ada is here" in ada.get("/").text
    assert ada.get("/me").json() == "ada"
    before = status(ada)
    site.advance(200)
    assert 50 < status(ada)["idle_left"] <= 100
    assert status(ada)["now"] - before["now"] >= 200
    assert ada.post(f"{PREFIX}heartbeat", headers=OURS).json()["extended"]
    assert site.pings() == 1
    assert [each["status"] for each in site.requests("/me")] == [200]
    assert [each["extended"] for each in site.events("HeartbeatReceived")] == [True]

    site.answer("/me", 500)
    assert ada.get("/me").status_code == 500
    site.answer("/me", None)
    site.outage(True)
    assert ada.get(f"{PREFIX}status").status_code == 503
    site.outage(False)
    assert ada.get("/me").status_code == 200

    site.stop()
    with pytest.raises(httpx2.ConnectError):
        ada.get("/me")
    site.start()
    assert len(site.sessions("ada")) == 1
    assert 200 < status(ada)["idle_left"] < 300
    site.forget("ada")
    assert status(ada)["reason"] == "gone"


def test_a_revoked_session_says_so(site: Site, ada: httpx2.Client) -> None:
    site.revoke("ada")
    assert status(ada)["reason"] == "revoked"
    assert ada.get("/").headers["location"] == "/login?next=/"
