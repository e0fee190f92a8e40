"""The heartbeat's endpoints: how long the session has, keep it alive, end it, why it ended.

One body for both colours, driven by the drivers before the application sees the request. The
server is the only judge: what a page reports can make an extension smaller, never larger. What a
request may look like is in `heartbeat_calls`, the script in `heartbeat_script`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from .answers import RETRY_AFTER, Answer
from .client import ClientInfo, Header
from .config import SessionSettings
from .core import events as ev
from .core.areas import area_limits
from .core.exchange import Exchange
from .core.headers import Headers
from .core.policy import Rules
from .core.record import EndReason, Record
from .core.steps import Steps
from .errors import StoreError
from .heartbeat_calls import (
    MAX_BODY,
    BadReport,
    Call,
    Report,
    answer,
    json_answer,
    refusal,
    report_of,
)
from .heartbeat_script import NAME as SCRIPT
from .heartbeat_script import serve as serve_script

MAX_NONCE = 64
LOST = ("ended", "anonymous", "replaced", "login_page")


class Heartbeat:
    """Answers the requests below `heartbeat_prefix`.

    Args:
        settings: the deployment's, with `enable_heartbeat`.
        client: knows our proxies.

    Attributes:
        farewells: called with its owner at a sign-out for further headers, where an adapter's
            application has cookies beside ours that would sign the person in again.
    """

    def __init__(self, settings: SessionSettings, client: ClientInfo) -> None:
        self.prefix = settings.heartbeat_prefix.rstrip("/") + "/"
        self.lead = settings.warning_lead
        self.absolute_lead = settings.absolute_warning_lead
        self.interval = settings.heartbeat_interval
        self.client = client
        self.farewells: WeakKeyDictionary[Any, Callable[[Any], Headers]] = WeakKeyDictionary()

    def call(
        self, method: str, path: str, mount: str, query: str, header: Header, peer: str | None
    ) -> Call | None:
        """The call a request makes; None when it is the application's.

        Args:
            path: as the server gives it, with or without `mount` in front.
            mount: where the application hangs (ASGI `root_path`).
        """
        if not path.startswith(self.prefix):
            path = path.removeprefix(mount.rstrip("/"))
            if not path.startswith(self.prefix):
                return None
        return Call(
            method,
            path.removeprefix(self.prefix),
            query,
            header,
            trusted=peer is not None and self.client.trusts(peer),
        )

    def at_once(self, call: Call) -> Answer | None:
        """The answer that needs neither body nor session, if this is one."""
        refused = refusal(call)
        if refused is None and call.name == SCRIPT:
            refused = serve_script(call)
        return refused

    def too_large(self) -> Answer:
        """The answer to a body over `MAX_BODY` bytes."""
        return answer(413, "Content Too Large", f"a report has at most {MAX_BODY} bytes")

    def incomplete(self) -> Answer:
        """The answer to a body that ends too early; what it would have said is not made up."""
        return answer(400, "Bad Request", "the body is not complete")

    def serve(self, driver: Any, x: Exchange, call: Call, body: bytes) -> Steps[Answer]:
        """Answer a call that is about the session."""
        try:
            report = report_of(body)
        except BadReport as error:
            return answer(400, "Bad Request", str(error))
        try:
            found = yield from self._judge(driver, x, call, report)
        except StoreError:
            found = json_answer(503, "Service Unavailable", {"state": "unavailable"})
            cookies = x.parting_cookies()
            found.headers.append(("Vary", "Cookie"))
            found.headers.append(("Retry-After", RETRY_AFTER))
            found.headers.extend(("Set-Cookie", value) for value in cookies)
        if call.name == "logout":
            for owner, farewell in list(self.farewells.items()):
                said = found.headers
                said.extend(header for header in farewell(owner) if header not in said)
        return found

    def _judge(self, driver: Any, x: Exchange, call: Call, report: Report) -> Steps[Answer]:
        yield driver.load(x)
        x.accessed = True
        if x.failure is not None:
            if call.name == "logout":
                x.delete_cookie()
            raise x.failure
        asked = call.parameters
        path = report.path or asked.get("path")
        # Pages say it as it stands in the address bar.
        path = None if path is None else unquote(path)
        # Who asks knows by it that the answer was made for them, and is out of no cache.
        nonce = {"nonce": asked.get("nonce", "")[:MAX_NONCE] or None}
        if call.name == "lost":
            return self._lost(x, report)
        if call.name == "logout":
            ended = x.state.record is not None
            x.state.logout()
            yield driver.commit(x)
            content = self.judgement(x, path) | nonce
            if ended:
                content |= {"state": "ended", "reason": EndReason.SIGNED_OUT}
            return self._answer(x, 200, content)
        extended = None
        if call.name == "heartbeat" and x.state.record is not None:
            extended = yield from self._beat(driver, x, report, path)
        content = self.judgement(x, path) | nonce
        if call.name == "status":
            return self._answer(x, 200, content)
        content["extended"] = bool(extended)
        return self._answer(x, 200 if x.state.record is not None else 401, content)

    def _beat(self, driver: Any, x: Exchange, report: Report, path: str | None) -> Steps[bool]:
        """Let the idle clock start at the person's last activity, if that is worth a write.

        A page that wants a fresh sign-in because nobody was there is no page to stay on: it would
        else be open again to whoever moves the mouse.
        """
        yield driver.commit(x)
        record = x.state.record
        assert record is not None  # noqa: S101  # a commit without intents ends nothing
        now = x.at(x.desk.monotonic())
        gained = now - report.idle - record.last_active_at
        locked = area_limits(x.rules, path, record, now).stale is EndReason.IDLE
        extended = gained >= self._throttle(record, x.rules) and not locked
        if extended:
            yield driver.beat(x, report.idle)
            extended = x.state.record is not None
        x.emit(
            ev.HeartbeatReceived(session_id=record.id, user_id=record.user_id, extended=extended)
        )
        return extended

    def _lost(self, x: Exchange, report: Report) -> Answer:
        record = x.state.record
        x.emit(
            ev.ClientLost(
                session_id=record.id if record else x.token.id if x.token else None,
                user_id=record.user_id if record else None,
                reason=x.previous_end,
                state=report.state if report.state in LOST else "",
                believed_left=report.believed_left,
            )
        )
        return Answer(204, "No Content", x.finish_headers([("Cache-Control", "no-store")]), b"")

    def _answer(self, x: Exchange, status: int, content: dict[str, Any]) -> Answer:
        found = json_answer(status, "OK" if status == 200 else "Unauthorized", content)
        headers = x.finish_headers(found.headers)
        if status == 401:
            # RFC 9110, section 11.6.1, asks for one; no browser opens a dialog for this scheme.
            headers = [*headers, ("WWW-Authenticate", "Session")]
        return Answer(found.status, found.phrase, headers, found.body)

    # -- what is told

    def at_load(self, x: Exchange, path: str) -> dict[str, Any]:
        """What a page is told while it is made: what `status` would answer right afterwards."""
        return self.judgement(x, path, self.as_used(x))

    @staticmethod
    def as_used(x: Exchange) -> Record | None:
        """The record as this request, if it counts as activity, will leave it."""
        record = x.state.record
        if record is None or not x.touch_due():
            return record
        return replace(record, last_active_at=x.at(x.desk.monotonic()))

    def judgement(
        self, x: Exchange, path: str | None = None, record: Record | None = None
    ) -> dict[str, Any]:
        """How the session stands, in the words of the protocol; durations are seconds."""
        record = record or x.state.record
        clocked = x.clocked
        now = x.at(x.desk.monotonic()) if clocked else x.desk.wall()
        told: dict[str, Any] = {
            "state": "anonymous",
            "reason": None,
            "now": round(now, 3),
            "session": None,
            "signed_in": False,
            "idle_left": None,
            "absolute_left": None,
            "warning_lead": self.lead,
            "absolute_warning_lead": self.absolute_lead,
            "heartbeat_interval": self.interval,
            "next_heartbeat": None,
        }
        if record is None:
            if x.dead and x.previous_end is not None:
                told |= {"state": "ended", "reason": x.previous_end}
            return told
        limits = area_limits(x.rules, path, record, now)
        interval = self._interval(limits.idle)
        return told | {
            "state": "active" if limits.stale is None else "stale",
            "session": key_of(record),
            "signed_in": record.user_id is not None,
            "idle_left": round(max(0.0, limits.idle_deadline - now), 3),
            "absolute_left": round(max(0.0, limits.absolute_deadline - now), 3),
            "warning_lead": self._lead(limits.idle),
            "absolute_warning_lead": min(self.absolute_lead, limits.absolute / 2),
            "heartbeat_interval": interval,
            "next_heartbeat": round(max(0.0, record.last_active_at + interval - now), 3),
        }

    def _lead(self, idle: float) -> float:
        """Seconds before the idle end; a session with a short limit of its own has less."""
        return min(self.lead, idle / 2)

    def _interval(self, idle: float) -> float:
        """Seconds between two heartbeats; some may be lost before anybody is warned."""
        if self.interval is not None:
            return min(self.interval, idle / 3)
        return max(1.0, idle / 6)

    def _throttle(self, record: Record, rules: Rules) -> float:
        """Seconds an extension must gain to be written."""
        interval = self._interval(rules.limits_of(record).idle)
        return min(interval, rules.touch_every(record)) / 2


def key_of(record: Record) -> str:
    """The same in all tabs of a session and in no other, and no handle of it."""
    return hashlib.sha256(b"heartbeat:" + record.id.encode()).hexdigest()[:24]
