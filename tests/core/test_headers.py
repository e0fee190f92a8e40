"""`Vary` and shared caches: what a session does to the headers of a response."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_middleware.core import events as ev
from openclaw_middleware.core.headers import (
    Headers,
    add_vary,
    keep_out_of_shared_caches,
    shared_caching,
)

from .lab import Lab

DIRECTIVES = st.sampled_from(
    [
        "public",
        "private",
        "no-store",
        "no-cache",
        "max-age=60",
        "s-maxage=60",
        "must-revalidate",
        "immutable",
        "Private",
        "NO-STORE",
        'private="Set-Cookie"',
        "",
        "x=private",
    ]
)
CACHE_CONTROL = ["Cache-Control", "cache-control", "CACHE-CONTROL"]
TARGETED = ["CDN-Cache-Control", "x-cdn-cache-control", "Surrogate-Control", "X-Accel-Expires"]
NAMES = st.sampled_from([*CACHE_CONTROL, *TARGETED, "Expires", "X-Other"])
HEADERS = st.lists(st.tuples(NAMES, st.lists(DIRECTIVES, max_size=3).map(", ".join)), max_size=4)


def directives(headers: Headers) -> list[str]:
    """All `Cache-Control` directives, in lower case."""
    return [
        part.strip().lower()
        for name, value in headers
        if name.lower() == "cache-control"
        for part in value.split(",")
    ]


@pytest.mark.parametrize(
    ("before", "added"),
    [
        ([], True),
        ([("Vary", "Accept")], True),
        ([("Vary", "Accept-Cookie, X-Cookie")], True),
        ([("Vary", "")], True),
        ([("X-Vary", "Cookie")], True),
        ([("Vary", "Cookie")], False),
        ([("vary", "accept,cookie")], False),
        ([("VARY", "Accept , COOKIE ")], False),
        ([("Vary", "*")], False),
        ([("Vary", "Accept"), ("Vary", "Cookie")], False),
    ],
)
def test_vary_names_the_cookie_once(before: Headers, added: bool) -> None:
    """Whatever the application named stays; nothing is named twice."""
    after = add_vary(before)

    assert after == ([*before, ("Vary", "Cookie")] if added else before)
    assert add_vary(after) == after


@pytest.mark.parametrize(
    ("headers", "allows"),
    [
        ([], None),
        ([("Cache-Control", "no-cache")], None),
        ([("Cache-Control", "private, max-age=60")], None),
        ([("Cache-Control", "no-store")], None),
        ([("Cache-Control", "max-age=60"), ("Cache-Control", "private")], None),
        ([("Cache-Control", "public")], "public"),
        ([("Cache-Control", "max-age=60")], "max-age=60"),
        ([("cache-control", "S-MaxAge=60")], "S-MaxAge=60"),
        ([("Cache-Control", "must-revalidate")], "must-revalidate"),
        ([("Cache-Control", "max-age=60"), ("Cache-Control", "x")], "max-age=60, x"),
        ([("Expires", "Thu, 01 Dec 2033 16:00:00 GMT")], "Expires"),
        ([("Expires", "0"), ("Cache-Control", "no-cache")], None),
        ([("Expires", "0"), ("Cache-Control", "private")], None),
        ([("Cache-Control", "private"), ("X-Accel-Expires", "60")], "X-Accel-Expires: 60"),
        ([("x-accel-expires", "@1999999999")], "x-accel-expires: @1999999999"),
        ([("X-Accel-Expires", "0")], None),
        ([("X-Accel-Expires", " 0 "), ("Cache-Control", "public")], "public"),
        (
            [("Cache-Control", "no-store"), ("CDN-Cache-Control", "max-age=9")],
            "CDN-Cache-Control: max-age=9",
        ),
        ([("Cloudflare-CDN-Cache-Control", "public")], "Cloudflare-CDN-Cache-Control: public"),
        ([("CDN-Cache-Control", 'private="x"')], 'CDN-Cache-Control: private="x"'),
        ([("CDN-Cache-Control", "private"), ("vercel-cdn-cache-control", "No-Store")], None),
        ([("Surrogate-Control", "private, max-age=9")], "Surrogate-Control: private, max-age=9"),
        ([("Surrogate-Control", 'no-store, content="ESI/1.0"')], None),
        ([("Surrogate-Control", 'content="ESI/1.0"')], None),
        (
            [("Surrogate-Control", 'max-age=9, content="ESI/1.0"')],
            'Surrogate-Control: max-age=9, content="ESI/1.0"',
        ),
        ([("Edge-Control", "!no-store, max-age=9m")], "Edge-Control: !no-store, max-age=9m"),
        ([("X-Surrogate-Control", "max-age=9")], None),
    ],
)
def test_shared_caching_is_recognised(headers: Headers, allows: str | None) -> None:
    """What lets a shared cache keep a response, over all lines of the header (RFC 9111)."""
    assert shared_caching(headers) == allows


@given(HEADERS)
def test_what_carries_our_cookie_is_kept_out_of_shared_caches(headers: Headers) -> None:
    """Afterwards no shared cache may store it; what did so already stays as it was."""
    after = keep_out_of_shared_caches(headers)

    assert {"private", "no-store"} & set(directives(after))
    assert shared_caching(after) is None
    assert keep_out_of_shared_caches(after) == after
    replaced = (*CACHE_CONTROL, *TARGETED)
    others = [pair for pair in headers if pair[0] not in replaced]
    assert [pair for pair in after if pair[0] not in replaced] == others
    targeted = [pair for pair in after if pair[0] in TARGETED]
    assert [name for name, _ in targeted] == [name for name, _ in headers if name in TARGETED]
    for name, value in targeted:
        closed = (
            {"no-store", "private"}
            if name.lower().endswith("cdn-cache-control")
            else {"0" if name == "X-Accel-Expires" else "no-store"}
        )
        assert closed & set(directives([("Cache-Control", value)])), (name, value)


@pytest.mark.parametrize(
    "value",
    [
        'private="x-name", max-age=60',
        'private="x, y"',
        "private=x",
        'x="a, private, b", public',
        'x="private',
    ],
)
def test_a_word_that_does_not_hold_for_the_response_keeps_nothing_out(value: str) -> None:
    """`private="x"` lets a shared cache keep the rest, our cookie included (RFC 9111 5.2.2.7)."""
    assert keep_out_of_shared_caches([("Cache-Control", value)]) == [("Cache-Control", "no-store")]


def test_an_unused_session_leaves_the_headers_alone() -> None:
    """Neither `Vary` nor a cookie, and the very same list."""
    lab = Lab()
    request = lab.browser().request()
    headers = [("Cache-Control", "public"), ("Vary", "Accept")]

    assert request.x.finish_headers(headers) is headers


def test_a_header_for_one_kind_of_cache_is_closed_too() -> None:
    """A CDN or nginx goes by its own header and not by `Cache-Control`; a due rotation waits."""
    lab = Lab(rotation_interval=300)
    browser = lab.browser()
    headers = [
        ("Cache-Control", "private"),
        ("X-Accel-Expires", "60"),
        ("CDN-Cache-Control", "max-age=60"),
        ("Surrogate-Control", "max-age=60"),
        ("Netlify-CDN-Cache-Control", "no-store"),
    ]
    request = browser.request()
    request.session.login("ada")
    request.finish(headers=headers)

    kept = [pair for pair in request.headers if pair[0] not in ("Set-Cookie", "Vary")]
    assert kept == [
        ("Cache-Control", "private"),
        ("X-Accel-Expires", "0"),
        ("CDN-Cache-Control", "no-store"),
        ("Surrogate-Control", "no-store"),
        ("Netlify-CDN-Cache-Control", "no-store"),
    ]
    told = [e.header for e in lab.events if isinstance(e, ev.CacheHeaderReplaced)]
    assert told == ["X-Accel-Expires: 60"]

    lab.clock.advance(301)
    request = browser.request()
    assert request.session.user_id == "ada"
    request.finish(headers=headers)
    assert [pair for pair in request.headers if pair[0] != "Vary"] == headers


def test_a_public_response_that_signs_in_is_made_private_and_told() -> None:
    """The application's header is replaced, with a warning and an event."""
    lab = Lab()
    request = lab.browser().request()
    request.session.login("ada")
    request.finish(headers=[("Cache-Control", "public, max-age=60"), ("ETag", "x")])

    assert ("Cache-Control", "no-store") in request.headers
    assert "public" not in str(request.headers)
    assert ("ETag", "x") in request.headers
    assert [e.header for e in lab.told(ev.CacheHeaderReplaced)] == ["public, max-age=60"]


def test_a_logout_on_a_public_response_is_not_postponed() -> None:
    """The deletion goes out at once, and no shared cache keeps it."""
    lab = Lab()
    browser = lab.browser()
    browser.sign_in("ada")
    request = browser.request()
    request.session.logout()
    request.finish(headers=[("Cache-Control", "public")])

    assert browser.cookie is None
    assert ("Cache-Control", "no-store") in request.headers


def test_a_reader_of_a_public_page_only_varies() -> None:
    """Without a cookie to send, the application's caching is its own business."""
    lab = Lab()
    browser = lab.browser()
    browser.sign_in("ada")
    request = browser.request()
    assert request.session.user_id == "ada"
    request.finish(headers=[("Cache-Control", "public")])

    assert request.headers == [("Cache-Control", "public"), ("Vary", "Cookie")]
