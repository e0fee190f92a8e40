"""Where somebody is sent who must sign in anew, and that nobody is sent off the site."""

from __future__ import annotations

from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_middleware.sign_in import paths_ahead, sign_in_address, way_back

DOCUMENT = {"sec-fetch-dest": "document"}
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def address(
    page: str = "/login",
    path: str = "/admin",
    query: str = "",
    method: str = "GET",
    headers: dict[str, str] = DOCUMENT,
) -> str | None:
    return sign_in_address(page, path, query, method, headers.get)


def test_the_way_back_is_path_and_query() -> None:
    assert address() == "/login?next=/admin"
    assert address(query="a=1&b=%20") == "/login?next=/admin%3Fa%3D1%26b%3D%2520"
    assert address(page="/login?lang=de") == "/login?lang=de&next=/admin"
    assert address(path="/ä b") == "/login?next=/%25C3%25A4%2520b"


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", DOCUMENT, "/login?next=/admin"),
        ("HEAD", DOCUMENT, "/login?next=/admin"),
        ("GET", HTML, "/login?next=/admin"),
        ("POST", DOCUMENT, "/login"),
        ("POST", HTML, None),
        ("GET", {}, None),
        ("GET", {"accept": "*/*"}, None),
        ("GET", {"accept": "application/json"}, None),
        ("GET", {"sec-fetch-dest": "empty", **HTML}, None),
        ("GET", {"sec-fetch-dest": "iframe", **HTML}, None),
    ],
)
def test_only_documents_are_sent_anywhere(
    method: str, headers: dict[str, str], expected: str | None
) -> None:
    assert address(method=method, headers=headers) == expected


def test_the_sign_in_page_does_not_send_people_to_itself() -> None:
    assert address(path="/login") is None
    assert address(page="/log%20in", path="/log in") is None
    assert address(path="/login/") is None
    assert address(page="/login/", path="/login") is None
    assert address(path="/login/2") is not None
    assert address(page="https://sso.example/login", path="/login") is not None


@pytest.mark.parametrize(
    "path", ["//evil.example/admin", "///evil.example", "/\\evil.example", "\\\\evil.example", ""]
)
def test_the_way_back_never_leaves_the_site(path: str) -> None:
    back = way_back(path, "")
    assert back.startswith("/")
    assert urlsplit(urljoin("https://here.example/login", back)).netloc == "here.example"
    assert not back.startswith(("//", "/\\"))


@given(st.text(), st.text())
def test_whatever_was_asked_for_stays_on_the_site_and_in_one_line(path: str, query: str) -> None:
    path = path.encode("utf-8", "replace").decode()
    query = query.encode("utf-8", "replace").decode()
    found = address(path=path, query=query)
    assert found is not None
    assert found.isascii()
    assert found.isprintable()
    (back,) = parse_qs(urlsplit(found).query)["next"]
    assert back.startswith("/")
    assert not back.startswith(("//", "/\\"))
    assert urlsplit(urljoin("https://here.example/x", back)).netloc == "here.example"


def test_paths_ahead() -> None:
    assert paths_ahead("next=/admin%3Fx%3D1&lang=de") == ["/admin"]
    assert paths_ahead("next=%2Fadmin%2F%2520x") == ["/admin/ x"]
    assert paths_ahead("next=/a&next=https://here/b") == ["/a", "/b"]
    assert paths_ahead("next=//[&x") == []
    assert paths_ahead("") == []
