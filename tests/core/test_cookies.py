"""Finding our cookie in a header, and wording `Set-Cookie` so that a deletion deletes."""

from __future__ import annotations

import itertools
from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_middleware.core.cookies import MAX_COOKIE, MAX_TRIED, CookieSpec

SPEC = CookieSpec("session")
VARIANTS = [
    CookieSpec(name, path, domain, secure, samesite, partitioned)
    for name, path, domain, secure, samesite, partitioned in itertools.product(
        ["session", "__Host-session", "s"],
        ["/", "/app"],
        [None, "example.org"],
        [True, False],
        ["Lax", "Strict", "None"],
        [True, False],
    )
]
VALUES = st.text("abcXYZ019._-", min_size=1, max_size=20)


def attributes(line: str) -> set[str]:
    """The attributes of a `Set-Cookie` value that decide which cookie it is about."""
    _, *rest = line.split("; ")
    return {each for each in rest if not each.startswith(("Max-Age=", "Expires="))}


@pytest.mark.parametrize("spec", VARIANTS, ids=lambda spec: spec.tail)
def test_a_deletion_repeats_the_attributes_of_what_it_deletes(spec: CookieSpec) -> None:
    """Name, path, domain, Secure, SameSite and Partitioned are those of the original."""
    original, deletion = spec.set("value"), spec.delete()

    assert attributes(original) == attributes(deletion)
    assert original.startswith(f"{spec.name}=value; ")
    assert deletion.startswith(f"{spec.name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; ")
    assert "HttpOnly" in attributes(original)
    assert ("Secure" in attributes(original)) is spec.secure
    assert ("Partitioned" in attributes(original)) is spec.partitioned
    assert (f"Domain={spec.domain}" in attributes(original)) is (spec.domain is not None)


def test_the_wording_is_fixed() -> None:
    """The order of attributes never changes, so that tests and caches can rely on it."""
    spec = CookieSpec("s", "/a", "example.org", True, "Strict", True)

    assert spec.set("v", 60) == (
        "s=v; Max-Age=60; HttpOnly; Path=/a; SameSite=Strict; Domain=example.org; Secure; "
        "Partitioned"
    )
    assert CookieSpec("s", secure=False).set("v") == "s=v; HttpOnly; Path=/; SameSite=Lax"


def test_a_lifetime_is_sent_only_when_there_is_one() -> None:
    """A browser-session cookie has neither Max-Age nor Expires; a lifetime of 0 is one."""
    assert "Max-Age" not in SPEC.set("v")
    assert "Expires" not in SPEC.set("v")
    assert "; Max-Age=0;" in SPEC.set("v", 0)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("session=a", ["a"]),
        ("other=1; session=a; more=2", ["a"]),
        ("session=a;session=b", ["a", "b"]),
        (";;; session=a ;;", ["a"]),
        ("session = a", ["a"]),
        ("\tsession\t=\ta\t", ["a"]),
        ('session="a"', ["a"]),
        ('session="a', ['"a']),
        ('session="', ['"']),
        ('session=""', [""]),
        ("session=", [""]),
        ("session=a=b==", ["a=b=="]),
        ("session=a b", ["a b"]),
        ("session=a,b", ["a,b"]),
        ("session=a; session=a", ["a"]),
        ("session=1; session=2; session=3; session=4; session=5", ["1", "2", "3", "4"]),
        ("session", []),
        ("xsession=a", []),
        ("sessionx=a", []),
        ("session.x=a", []),
        ("x session=a", []),
        ("Session=a", []),
        ("SESSION=a", []),
        ("x=session=a", []),
        ('x="; session=a; "', ["a"]),
        ("$Path=/; session=a; $Domain=x", ["a"]),
        ("session=a, session=b", ["a, session=b"]),
        ("\x0bsession=a", []),
        ("\xa0session=a", []),
        ("session\x00=a", []),
        ("session=a\x00b", ["a\x00b"]),
        ("", []),
        ("; " * 1000, []),
    ],
)
def test_only_the_cookie_of_exactly_this_name_is_found(header: str, found: list[str]) -> None:
    """Neighbours, other spellings and other characters are not ours."""
    assert SPEC.find(header) == found


def test_a_value_no_browser_would_keep_is_left_out() -> None:
    """4096 characters are tried, one more is not, and it takes nobody else's place."""
    long, longer = "a" * MAX_COOKIE, "b" * (MAX_COOKIE + 1)

    assert SPEC.find(f"session={longer}; session={long}; session=c") == [long, "c"]


def test_repetitions_take_no_place() -> None:
    """The fifth different value is not tried, however often the first four came."""
    many = "; ".join(f"session={number % 9}" for number in range(1000))

    assert SPEC.find(many) == ["0", "1", "2", "3"]


@given(VALUES, st.sampled_from(VARIANTS))
def test_what_we_set_is_what_we_find(value: str, spec: CookieSpec) -> None:
    """A browser sends the pair back as it got it."""
    pair = spec.set(value).partition(";")[0]

    assert spec.find(f"a=1; {pair}; b=2") == [value]
    known = spec.set(value).removesuffix("; Partitioned")  # unknown to Python before 3.14
    assert SimpleCookie(known)[spec.name].value == value


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_no_header_confuses_it(header: str) -> None:
    """Whatever is sent, what is found stood behind our name and is short enough."""
    found = SPEC.find(header)

    assert len(found) <= MAX_TRIED
    assert len(set(found)) == len(found)
    assert all(len(value) <= MAX_COOKIE and value in header for value in found)
    assert not found or "session" in header


@given(st.lists(st.text("session=;, \t\"'xX0\x00é", max_size=20), max_size=30))
def test_headers_made_of_our_own_name_are_read_by_the_rule(parts: list[str]) -> None:
    """An independent reading: split at semicolons, trim, name up to the first equals sign."""
    expected: list[str] = []
    for part in ";".join(parts).split(";"):
        name, equals, value = part.partition("=")
        value = value.strip(" \t")
        if len(value) >= 2 and value.startswith('"') and value.endswith('"'):
            value = value[1:-1]
        if equals and name.strip(" \t") == "session" and value not in expected:
            expected.append(value)

    assert SPEC.find(";".join(parts)) == expected[:MAX_TRIED]
