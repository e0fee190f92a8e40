"""What the endpoints take and refuse, and how the script is served, in every driver and adapter."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from openclaw_middleware.heartbeat_script import script
from tests.adapters.django.runner import DjangoAsgiRunner, DjangoRunner
from tests.drivers.runners import RUNNERS, Asgi, FlaskRunner, Wsgi, wsgi_request
from tests.drivers.world import START, Call, Response

from .pages import OURS, PREFIX, Page

CLIENT = ("x-session-client", "1")
HERE = ("host", "localhost")
POSTS = ("heartbeat", "logout", "lost")


@pytest.fixture(params=RUNNERS, ids=lambda each: each.name)
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    page = Page(request.param)
    page.visit(lambda session: session.login("ada"))
    yield page
    page.runner.close()


def post(page: Page, name: str, *headers: tuple[str, str], body: bytes = b"") -> Response:
    return page.send("POST", PREFIX + name, headers=headers, body=body)


CROSS_SITE: dict[str, tuple[tuple[str, str], ...]] = {
    "a form": (("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")),
    "no header of ours": (("sec-fetch-site", "same-origin"),),
    "another site": (CLIENT, ("sec-fetch-site", "cross-site")),
    "a subdomain": (CLIENT, ("sec-fetch-site", "same-site")),
    "an address bar": (CLIENT, ("sec-fetch-site", "none")),
    "an old browser, elsewhere": (CLIENT, HERE, ("origin", "http://evil.example")),
    "another port": (CLIENT, HERE, ("origin", "http://localhost:81")),
    "another scheme's port": (CLIENT, ("host", "localhost:80"), ("origin", "https://localhost")),
    "a sandboxed frame": (CLIENT, HERE, ("origin", "null")),
    "a sandboxed frame without a host": (CLIENT, ("host", ""), ("origin", "null")),
    "nonsense": (CLIENT, HERE, ("origin", "http://[")),
    "somebody's proxy": (
        CLIENT,
        HERE,
        ("origin", "http://evil.example"),
        ("x-forwarded-host", "evil.example"),
    ),
}


@pytest.mark.parametrize("name", POSTS)
@pytest.mark.parametrize("headers", CROSS_SITE.values(), ids=CROSS_SITE)
def test_other_sites_are_refused(page: Page, name: str, headers: Any) -> None:
    page.world.clock.advance(1000)
    before = page.world.contents()
    refused = post(page, name, *headers)
    assert refused.status == 403
    assert b'"state": "refused"' in refused.body
    assert (page.world.contents(), page.world.trips.total) == (before, 0)
    assert refused.all("set-cookie") == []
    assert refused.one("access-control-allow-origin") is None


OWN: dict[str, tuple[tuple[str, str], ...]] = {
    "a browser": (CLIENT, ("sec-fetch-site", "same-origin"), ("origin", "https://x.example")),
    "an old browser": (CLIENT, HERE, ("origin", "http://LOCALHOST")),
    "a proxy that writes http's port": (CLIENT, ("host", "shop:80"), ("origin", "http://shop")),
    "a proxy that writes https's port": (CLIENT, ("host", "shop:443"), ("origin", "https://shop")),
    "no browser": (CLIENT,),
}


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
def test_our_own_pages_are_answered(page: Page, headers: Any) -> None:
    assert post(page, "heartbeat", *headers).status == 200


def test_a_trusted_proxy_names_the_host() -> None:
    page = Page(Wsgi, trusted_proxies=("127.0.0.1",))
    headers = (CLIENT, HERE, ("origin", "https://shop.example"))
    call = (*headers, ("x-forwarded-host", "evil.example, shop.example"))
    assert _from(page, "127.0.0.1", *call).status == 401
    assert _from(page, "127.0.0.2", *call).status == 403
    assert _from(page, "127.0.0.1", *headers).status == 403


def _from(page: Page, peer: str, *headers: tuple[str, str]) -> Response:
    from tests.drivers.runners import wsgi_request
    from tests.drivers.world import Call

    call = Call(None, "POST", f"{PREFIX}heartbeat", headers)
    return wsgi_request(page.runner.app, call, REMOTE_ADDR=peer)


def test_status_may_be_read_in_the_address_bar_but_not_by_other_sites(page: Page) -> None:
    for site, status in (("none", 200), ("same-origin", 200), ("cross-site", 403)):
        headers = (("sec-fetch-site", site),)
        assert page.send("GET", f"{PREFIX}status", headers=headers).status == status


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"idle": "1"}',
        b'{"idle": true}',
        b'{"idle": NaN}',
        b'{"path": 1}',
        b"\xff",
        b"[" * 1024,
    ],
)
def test_what_no_page_of_ours_sends_is_refused(page: Page, body: bytes) -> None:
    page.world.clock.advance(1000)
    before = page.world.contents()
    assert page.send("POST", f"{PREFIX}heartbeat", body=body).status == 400
    assert page.world.contents() == before


def test_a_large_body_is_not_read(page: Page) -> None:
    body = b'{"path": "' + b"a" * 2000 + b'"}'
    answer = page.send("POST", f"{PREFIX}heartbeat", body=body)
    assert (answer.status, page.world.trips.total) == (413, 0)


def test_methods_and_names(page: Page) -> None:
    for method, name, status, allow in (
        ("GET", "heartbeat", 405, "POST"),
        ("POST", "status", 405, "GET, HEAD"),
        ("OPTIONS", "logout", 405, "POST"),
        ("DELETE", "client.js", 405, "GET, HEAD"),
        ("GET", "", 404, None),
        ("GET", "status/more", 404, None),
        ("GET", "../secret", 404, None),
    ):
        answer = page.send(method, PREFIX + name)
        assert (answer.status, answer.one("allow")) == (status, allow), (method, name)
        assert answer.all("set-cookie") == []


def test_the_script_is_served_with_its_validators(page: Page) -> None:
    answer = page.send("GET", f"{PREFIX}client.js", headers=())
    assert (answer.status, page.world.trips.total) == (200, 0)
    assert answer.one("content-type") == "text/javascript; charset=utf-8"
    assert answer.one("cache-control") == "public, no-cache"
    assert answer.one("vary") is None
    digest = base64.b64encode(hashlib.sha384(answer.body).digest()).decode()
    assert script().integrity == f"sha384-{digest}"
    tag = answer.one("etag")
    assert tag is not None
    assert tag.startswith('"')
    again = page.send("GET", f"{PREFIX}client.js", headers=(("if-none-match", f'"x", W/{tag}'),))
    assert (again.status, again.body, again.one("etag")) == (304, b"", tag)
    other = page.send("GET", f"{PREFIX}client.js", headers=(("if-none-match", '"x"'),))
    assert other.status == 200
    head = page.send("HEAD", f"{PREFIX}client.js", headers=())
    assert (head.status, head.body) == (200, b"")
    assert head.one("content-length") == str(len(answer.body))


def test_the_script_is_kept_for_good_under_its_own_version(page: Page) -> None:
    for version, wanted in ((script().version, "public, max-age=31536000, immutable"), ("x", None)):
        answer = page.send("GET", f"{PREFIX}client.js", query=f"v={version}", headers=())
        assert answer.one("cache-control") == (wanted or "public, no-cache")


def test_a_body_that_ends_too_early_is_not_made_up(page: Page) -> None:
    """It would have said how long nobody was there."""
    page.world.clock.advance(1000)
    before = page.world.contents()
    if page.runner.name == "django-asgi":
        return  # Django answers nobody who has left
    answer = page.send("POST", f"{PREFIX}heartbeat", cut=True)
    assert (answer.status, page.world.contents()) == (400, before)


@pytest.mark.parametrize("runner", [Wsgi, FlaskRunner, DjangoRunner], ids=lambda each: each.name)
@pytest.mark.parametrize("length", ["9" * 5000, "1e3", "-1", "2, 2"], ids=lambda each: each[:9])
def test_a_length_that_is_none_is_refused(runner: Any, length: str) -> None:
    page = Page(runner)
    page.visit(lambda session: session.login("ada"))
    page.world.clock.advance(1000)
    before = page.world.contents()
    headers = (*OURS, ("cookie", page.browser.header))
    call = Call(None, "POST", f"{PREFIX}heartbeat", headers, body=b"{}")
    answer = wsgi_request(page.runner.app, call, CONTENT_LENGTH=length)
    assert answer.status in (400, 413)
    assert page.world.contents() == before
    page.runner.close()


@pytest.mark.parametrize("runner", [Asgi, DjangoAsgiRunner], ids=lambda each: each.name)
def test_a_body_whose_length_http_2_need_not_say(runner: Any) -> None:
    page = Page(runner)
    page.visit(lambda session: session.login("ada"))
    page.world.clock.advance(1000)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["headers"] = [each for each in scope["headers"] if each[0] != b"content-length"]
        await inner(scope, receive, send)

    name = "app" if runner is Asgi else "asgi"
    inner = getattr(page.runner, name)
    setattr(page.runner, name, app)
    assert page.post("heartbeat", {"idle": 900}).status == 200
    assert page.world.contents()[0]["active"] == START + 100
    page.runner.close()


def test_a_body_without_a_length() -> None:
    for runner, terminated, status in (
        (Wsgi, True, 200),
        (Wsgi, False, 400),
        (DjangoRunner, True, 400),
    ):
        page = Page(runner)
        page.visit(lambda session: session.login("ada"))
        page.world.clock.advance(1000)
        headers = (*OURS, ("cookie", page.browser.header), ("transfer-encoding", "chunked"))
        call = Call(None, "POST", f"{PREFIX}heartbeat", headers)
        body = BytesIO(b'{"idle": 900}')
        environ = {"wsgi.input": body, "CONTENT_LENGTH": "", "wsgi.input_terminated": terminated}
        answer = wsgi_request(page.runner.app, call, **environ)
        assert answer.status == status, runner
        assert page.world.contents()[0]["active"] == START + (100 if status == 200 else 0)
        page.runner.close()


def test_a_large_body_without_a_length_is_not_kept(page: Page) -> None:
    headers = (*OURS, ("transfer-encoding", "chunked"))
    answer = page.send("POST", f"{PREFIX}lost", headers=headers, body=b"x" * 5000)
    assert answer.status in (400, 413)
