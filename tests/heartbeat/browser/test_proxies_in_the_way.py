"""Through nginx, HAProxy and Apache as somebody else set them up.

While people are there, the configuration changes, and is mended. Whatever a proxy does to an
answer, nobody is told that a live session has expired, and nobody is told of somebody else's.
"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.heartbeat.fronts import FRONTS, Nginx
from tests.heartbeat.sites import PREFIX, Site
from tests.server_process import ServerProcess

from .conftest import Meet, Stand
from .people import Tab, later

IDLE, LEAD = 1800.0, 120.0

Change = dict[str, str]
OURS = "location ^~ /_session/ {{ proxy_pass http://application; {} }}"
LIMIT = "limit_req_zone $server_name zone=few:1m rate=1r/m;"
CACHE = "proxy_cache pages; proxy_cache_valid any 10m; proxy_cache_key $uri;"
IGNORE = "proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;"
SMALL_CACHE = "cache pages\n total-max-size 4\n max-age 60\n process-vary off"
APACHE_CACHE = "CacheQuickHandler off\nCacheIgnoreNoLastMod on\nCacheEnable disk /"
APACHE_RUDE = f"""{APACHE_CACHE}_session/
CacheStoreNoStore on
CacheStorePrivate on
CacheIgnoreCacheControl on
CacheIgnoreQueryString on
CacheIgnoreHeaders Set-Cookie
<Location /_session/>
Header unset Vary
Header set Cache-Control max-age=60
</Location>
"""
RUDE = """
    http-request set-var(txn.ours) bool(true) if { path_beg /_session/ }
    http-request cache-use pages if { path_beg /_session/ }
    http-response set-header Cache-Control max-age=60 if { var(txn.ours) -m bool }
    http-response del-header Vary if { var(txn.ours) -m bool }
    http-response cache-store pages if { var(txn.ours) -m bool }
"""


def nginx(server: str, around: str = "") -> Change:
    return {"front": "nginx", "server": OURS.format(server), "around": around}


def haproxy(frontend: str, more: str = "") -> Change:
    return {"front": "haproxy", "frontend": frontend, "more": more}


def apache(server: str) -> Change:
    return {"front": "apache", "server": server}


FAILURES = {
    "nginx, too many": nginx("limit_req zone=few; limit_req_status 429;", LIMIT),
    "nginx, too many, as 503": nginx("limit_req zone=few;", LIMIT),
    "nginx, forbidden": nginx("deny all;"),
    "nginx, not found": nginx("return 404;"),
    "nginx, slow": nginx("proxy_read_timeout 1ms;"),
    "nginx, our header taken away": nginx('proxy_set_header X-Session-Client "";'),
    "haproxy, too many": haproxy(
        "http-request deny deny_status 429 if { path_beg /_session/heartbeat }"
    ),
    "haproxy, forbidden": haproxy("http-request deny if { path_beg /_session/heartbeat }"),
    "haproxy, our header taken away": haproxy("http-request del-header X-Session-Client"),
    "apache, too many": apache("RewriteEngine on\nRewriteRule ^/_session/heartbeat - [R=429]"),
    "apache, forbidden": apache("<Location /_session/>\nRequire all denied\n</Location>"),
    "apache, our header taken away": apache("RequestHeader unset X-Session-Client"),
}

PORTALS = {
    "nginx, redirect": nginx("return 302 /login;"),
    "nginx, elsewhere": nginx("return 302 https://portal.example/login;"),
    "nginx, page": nginx('default_type text/html; return 200 "<form>Sign in";'),
    "haproxy, redirect": haproxy(
        "http-request redirect location /login if { path_beg /_session/ }"
    ),
    "haproxy, page": haproxy(
        'http-request return status 200 content-type text/html string "<form>Sign in"'
        " if { path_beg /_session/ }"
    ),
    "apache, redirect": apache("RewriteEngine on\nRewriteRule ^/_session/ /login [R]"),
}

CACHES = {
    "nginx": nginx(CACHE),
    "nginx, rude": nginx(CACHE + IGNORE),
    "haproxy": haproxy(
        "http-request cache-use pages\nhttp-response cache-store pages", SMALL_CACHE
    ),
    "haproxy, rude": haproxy(RUDE, SMALL_CACHE),
    "apache": apache(APACHE_CACHE),
    "apache, rude": apache(APACHE_RUDE),
}


def changed(proxy: ServerProcess, front: str, **lines: str) -> None:
    """Let the proxy run with these further lines, on its old port."""
    for each, text in lines.items():
        setattr(proxy.engine, each, text)
    proxy.restart()


def mended(proxy: ServerProcess) -> None:
    """Let it run as published."""
    for each in ("server", "around", "frontend", "more"):
        setattr(proxy.engine, each, "")
    proxy.restart()


def warned(tab: Tab) -> None:
    """Let the time go by until the dialog asks."""
    later(IDLE - LEAD + 1, tab.person)
    expect(tab.dialog).to_be_visible()


@pytest.mark.parametrize("change", FAILURES.values(), ids=FAILURES)
def test_a_proxy_that_fails_is_no_end(
    site: Site, stand: Stand, meet: Meet, name: str, change: Change
) -> None:
    """The dialog stays and says so, tries again, and closes when the application was reached."""
    proxy = stand(FRONTS[change["front"]](site.port))
    ada = meet(site, proxy.url)
    tab = ada.sign_in(name)
    changed(proxy, **change)
    warned(tab)
    tab.press("Stay signed in")
    expect(tab.dialog).to_contain_text("No connection")
    mended(proxy)
    later(20, ada)
    assert tab.settled("active")["left"] > IDLE - 60
    assert tab.heard("ended") == []
    assert len(site.sessions(name)) == 1


@pytest.mark.parametrize("change", PORTALS.values(), ids=PORTALS)
def test_a_portal_is_no_end_of_ours(
    site: Site, stand: Stand, meet: Meet, name: str, change: Change
) -> None:
    """Somebody else wants a sign-in. Afterwards the session is as it was."""
    proxy = stand(FRONTS[change["front"]](site.port))
    ada = meet(site, proxy.url)
    tab = ada.sign_in(name)
    changed(proxy, **change)
    tab.type("a")
    later(301, ada)
    assert tab.settled("ended")["state"] == "login_page"
    assert len(site.sessions(name)) == 1
    mended(proxy)
    tab.check()
    tab.settled("active")
    expect(tab.dialog).to_be_hidden()
    tab.person.errors.clear()  # the browser's own word on a redirect to another origin


def told(tab: Tab) -> Any:
    """The session's key as the application itself says it: nothing keeps an answer to a POST."""
    return tab.page.evaluate(
        """async () => {
            const init = { method: "POST", headers: { "x-session-client": "1" } };
            return (await (await fetch("/_session/heartbeat", init)).json()).session;
        }"""
    )


@pytest.mark.parametrize("change", CACHES.values(), ids=CACHES)
def test_a_cache_tells_nobody_of_anothers_session(
    request: pytest.FixtureRequest,
    site: Site,
    stand: Stand,
    meet: Meet,
    name: str,
    change: Change,
) -> None:
    """The polite ones keep nothing of it; the rude ones keep what they are told not to."""
    proxy = stand(FRONTS[change["front"]](site.port))
    changed(proxy, **change)
    tabs = []
    for each in ("ada", "bob"):
        person = meet(site, proxy.url)
        tabs.append(person.sign_in(f"{each} {name}"))
        assert tabs[-1].status()["session"] == told(tabs[-1])
    hers, his = tabs
    before = len(site.requests(f"{PREFIX}status"))
    for tab in tabs:
        tab.page.evaluate("async () => (await fetch('/_session/status?same')).text()")
    kept = len(site.requests(f"{PREFIX}status")) == before + 1
    assert kept is ("rude" in request.node.name)
    site.revoke(f"bob {name}")
    his.check()
    his.type("a")
    later(301, *(each.person for each in tabs))
    assert his.settled("ended")["reason"] == "revoked"
    hers.check()
    later(IDLE - LEAD - 300, hers.person)
    hers.press("Stay signed in")
    expect(hers.dialog).to_be_hidden()
    assert hers.settled("active")["left"] > IDLE - 60
    assert hers.heard("ended") == hers.heard("changed") == []


def test_left_out_of_everything_the_heartbeat_is_served(
    site: Site, stand: Stand, meet: Meet, name: str
) -> None:
    """Pages are limited, cached, guarded; examples/proxies/nginx-heartbeat.conf makes up for it."""
    everything = (
        "limit_req zone=few; proxy_cache pages; proxy_cache_valid any 10m; proxy_cache_key $uri;"
        "proxy_intercept_errors on; error_page 401 403 =200 /login;"
    )
    proxy = stand(Nginx(site.port, spared=True))
    ada = meet(site, proxy.url)
    tab = ada.sign_in(name)
    changed(proxy, "nginx", server=everything, around=LIMIT)
    warned(tab)
    for _ in range(3):
        tab.check()
    tab.press("Stay signed in")
    expect(tab.dialog).to_be_hidden()
    site.revoke(name)
    tab.check()
    assert tab.settled("ended")["reason"] == "revoked"
