"""What a page carries of the heartbeat: the script, the element, and a line for whoever has no
script. One function for all template languages; the adapters only hand it a session.

Everything is escaped, nothing is inline script or style. What the element does is the client's.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from .core.areas import area_limits
from .core.exchange import Exchange
from .errors import ConfigurationError
from .heartbeat import Heartbeat
from .heartbeat_script import NAME as SCRIPT
from .heartbeat_script import script
from .heartbeat_texts import LANGUAGES, end_of_session

if TYPE_CHECKING:
    from .runtime import Runtime
    from .session import Session

_ATTRIBUTE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
Value = str | float | bool | None


class Html(str):
    """Markup that template languages take as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a page wants it.

    Attributes:
        lang: of the page, such as "de" or "pt-BR"; empty: English, and the client asks the page.
        nonce: of the page's Content-Security-Policy, for the script.
        timezone: in which the end is told.
        noscript: the line for whoever has no script, with `{time}`; empty for none.
    """

    lang: str = ""
    nonce: str = ""
    timezone: tzinfo = UTC
    noscript: str | None = None


def session_keeper(
    session: Session | None, runtime: Runtime, wishes: Wishes, attributes: dict[str, Value]
) -> Html:
    """The markup that keeps this page's session, nothing where there is none to keep.

    That is where nobody is signed in (but for `anonymous=True`, which keeps visitors' sessions,
    too), where the heartbeat is off, and where a path has no sessions. Reading is all that
    happens to the session.

    Args:
        attributes: of the `<session-keeper>` element: `login_url` becomes `login-url`, True an
            attribute without a value; False and None leave it out. The sign-in page and what the
            server would tell a first `status` are there already.

    Raises:
        ValueError: a name is no attribute's.
        ConfigurationError: browsers do not send the cookie to the heartbeat.
        StoreUnavailable: the session cannot be loaded.
    """
    heartbeat = runtime.heartbeat
    if heartbeat is None or session is None:
        return Html("")
    x = session._x
    state = session._loaded()
    if state.lapse is not None or not (state.user_id or attributes.get("anonymous")):
        return Html("")
    stored = state.record is not None and not state.detached
    settled = stored and state.draft is None and state.policy is None
    if not stored and not state.user_id:
        return Html("")
    path = attributes.get("path") or x.request.path
    given: dict[str, Value] = {
        "lang": wishes.lang or None,
        "login_url": runtime.sign_in_page(),
        "at_load": json.dumps(heartbeat.at_load(x, str(path))) if settled else None,
    }
    element = "".join(_attribute(*each) for each in (given | attributes).items())
    folder = quote(x.request.mount, safe="/:@!$&'()*+,;=~") + heartbeat.prefix
    _reached(x.desk.cookie.path, folder if attributes.get("base") is None else None)
    line = _line(x, str(path), wishes) if settled else ""
    loaded = _script(folder + SCRIPT, wishes.nonce)
    return Html(f"{loaded}\n<session-keeper{element}></session-keeper>{line}")


def _reached(cookie_path: str, folder: str | None) -> None:
    """See that a browser sends the cookie to the endpoints (RFC 6265, section 5.1.4); without it
    the page would be told that nobody is signed in."""
    above = cookie_path.rstrip("/") + "/"
    if folder is not None and not folder.startswith(above):
        raise ConfigurationError(
            f"the session cookie has the path {cookie_path} and is not sent to the heartbeat at "
            f"{folder}: set heartbeat_prefix to {above}_session/, or cookie_path to /"
        )


def _script(source: str, nonce: str) -> str:
    found = script()
    extra = f' nonce="{escape(nonce)}"' if nonce else ""
    return (
        f'<script type="module" src="{escape(source)}?v={found.version}" '
        f'integrity="{found.integrity}"{extra}></script>'
    )


def _attribute(name: str, value: Value) -> str:
    name = name.replace("_", "-")
    if not _ATTRIBUTE.fullmatch(name):
        raise ValueError(f"{name!r} is no attribute of <session-keeper>")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def _line(x: Exchange, path: str, wishes: Wishes) -> str:
    """When the session ends if nobody loads another page."""
    record = Heartbeat.as_used(x)
    if wishes.noscript == "" or record is None:
        return ""
    now = x.at(x.desk.monotonic())
    limits = area_limits(x.rules, path, record, now)
    idle = limits.idle_deadline < limits.absolute_deadline
    ends = min(limits.idle_deadline, limits.absolute_deadline)
    language = wishes.lang.lower().partition("-")[0]
    language = language if language in LANGUAGES else "en"
    text = end_of_session(language, idle=idle) if wishes.noscript is None else wishes.noscript
    time = _time(ends, now, wishes.timezone)
    told = time.join(escape(part) for part in text.split("{time}"))
    written = "" if wishes.noscript is not None else f' lang="{language}"'
    written += ' dir="rtl"' if written and language == "ar" else ""
    return f"\n<noscript><p{written}>{told}</p></noscript>"


def _time(ends: float, now: float, zone: tzinfo) -> str:
    """The minute in which it ends, with its date where that is not today's."""
    end, today = (datetime.fromtimestamp(each, UTC).astimezone(zone) for each in (ends, now))
    shown = end.strftime("%H:%M" if end.date() == today.date() else "%Y-%m-%d %H:%M")
    moment = end.replace(second=0, microsecond=0)
    return f'<time datetime="{moment.isoformat()}">{escape(f"{shown} {end.tzname()}")}</time>'
