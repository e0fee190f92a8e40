"""Where somebody is sent who must sign in anew, and how they get back.

Only documents are sent anywhere: a script that is redirected takes the sign-in page for its
answer. The way back never leaves the site. Nothing is decided here about who must sign in.
"""

from __future__ import annotations

from urllib.parse import parse_qs, quote, unquote, urlsplit

from .client import Header

NEXT = "next"
_READS = ("GET", "HEAD")


def sign_in_address(page: str, path: str, query: str, method: str, header: Header) -> str | None:
    """The address of the sign-in page with `next` as the way back; None where a redirect is no
    answer: for scripts, and on the sign-in page itself.

    Args:
        page: address of the sign-in page, a path of this site or another site's.
        path, query: of the request, the path decoded.
    """
    if not _is_document(method, header) or is_page(page, path):
        return None
    if method not in _READS:
        return page
    joint = "&" if "?" in page else "?"
    return f"{page}{joint}{NEXT}={quote(way_back(path, query), safe='/')}"


def way_back(path: str, query: str) -> str:
    """Path and query of this site as an address, safe even for a sign-in page that follows it
    unseen: no second slash or backslash makes a host of it."""
    address = "/" + quote(path.lstrip("/\\"), safe="/:@!$&'()*+,=~")
    return f"{address}?{quote(query, safe=_QUERY)}" if query else address


_QUERY = "/?:@!$&'()*+,;=~%"


def is_page(page: str, path: str) -> bool:
    """Whether this decoded path is that of a page of this site. With or without a slash at its end:
    frameworks send people from one spelling to the other."""
    split = urlsplit(page)
    if split.netloc or split.scheme:
        return False
    return unquote(split.path).rstrip("/") == path.rstrip("/")


def paths_ahead(query: str) -> list[str]:
    """The decoded paths a sign-in page was asked to go on to."""
    try:
        return [unquote(urlsplit(each).path) for each in parse_qs(query).get(NEXT, [])]
    except ValueError:
        return []


def _is_document(method: str, header: Header) -> bool:
    """Whether a person will see the answer as a page of its own."""
    destination = header("sec-fetch-dest")
    if destination is not None:
        return destination == "document"
    return method in _READS and "text/html" in (header("accept") or "")
