"""Many visitors at the same time, in threads and in tasks: each only ever meets their own session.

Data, user, id and cookie are compared at every request; secrets are rotated on the way.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import copy_current_request_context

from openclaw_middleware.adapters.flask import current_session

from .ledger import TRIALS, Ledger
from .places import Place, Sites, always_rotating, fresh_user
from .visits import Hold, Visit, Visitor, all_done

VISITORS = 12
EVERY_KIND = ("flask", "django", "starlette", "django-async", "starlette-def")
context: contextvars.ContextVar[str | None] = contextvars.ContextVar("context", default=None)


def session_id(visitor: Visitor) -> str:
    assert visitor.cookie is not None
    return visitor.cookie.rsplit(".", 3)[0]


@pytest.mark.parametrize("place", ["memory", "postgres", "redis"], indirect=True)
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_everybody_meets_only_themselves(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """Twelve visitors at once, each in a row of requests; in every one they find what is theirs."""
    site = always_rotating(sites(kind, place))

    def visit_as(name: str, number: int) -> Any:
        def handler(visit: Visit) -> Any:
            session = visit.session
            # A thread keeps its context for its next request; a task begins with its own.
            left = context.get() if visit.awaited else None
            context.set(name)
            seen = [session.user_id, session.get("name"), list(session.get("row", ())), left]
            session.setdefault("name", name)
            session.setdefault("row", []).append(number)
            return [*seen, session.id]

        return handler

    def row(name: str) -> list[tuple[Any, Any]]:
        visitor = site.signed_in(name)
        mine = session_id(visitor)
        found = []
        for number in range(TRIALS):
            answer = visitor.do(visit_as(name, number))
            assert answer.status == 200
            # What is handed out is first presented, then followed by the next.
            assert bool(answer.ours) is (number % 2 == 0)
            first = number == 0
            wanted = [name, None if first else name, [*range(number)], None]
            found.append((answer.data, [*wanted, mine]))
            assert session_id(visitor) == mine
        return found

    names = [fresh_user() for _ in range(VISITORS)]
    with ThreadPoolExecutor(VISITORS) as pool:
        rows = list(pool.map(row, names))
    with ledger.trials("nobody meets another", f"{place.name} {site.colour}") as trials:
        for found in rows:
            for got, wanted in found:
                trials.check(got == wanted, (got, wanted))


@pytest.mark.parametrize("place", ["memory", "redis"], indirect=True)
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_all_inside_their_handlers_at_once(
    sites: Sites, place: Place, kind: str, ledger: Ledger
) -> None:
    """All requests stand in their handlers together, then go on: nothing was exchanged."""
    site = sites(kind, place)
    hold = Hold(VISITORS)
    visitors = [(name, site.signed_in(name)) for name in (fresh_user() for _ in range(VISITORS))]

    def handler_of(name: str) -> Any:
        def handler(visit: Visit):
            visit.session["name"] = name
            yield hold.stand(visit)
            return [visit.session.user_id, visit.session["name"]]

        return handler

    pending = [visitor.begin(handler_of(name)) for name, visitor in visitors]
    hold.reached()
    hold.open()
    with ledger.trials("nobody meets another", f"{place.name} {site.colour}") as trials:
        for (name, visitor), answer in zip(visitors, all_done(pending), strict=True):
            trials.check(answer.data == [name, name], (name, answer))
            trials.check(visitor.ok(lambda visit: visit.session["name"]) == name)


def test_subtasks_share_the_session_of_their_request(sites: Sites, ledger: Ledger) -> None:
    """Tasks a handler starts see the session of their own request, and their changes are kept."""
    site = sites("starlette", Place("memory", "memory://", "subtasks"))
    hold = Hold(VISITORS)

    def handler_of(name: str) -> Any:
        def handler(visit: Visit):
            async def part(key: str) -> str | None:
                await asyncio.sleep(0)
                visit.session[key] = name
                return visit.session.user_id

            yield hold.stand(visit)
            return (yield asyncio.gather(*(part(key) for key in "abc")))

        return handler

    visitors = [(name, site.signed_in(name)) for name in (fresh_user() for _ in range(VISITORS))]
    pending = [visitor.begin(handler_of(name)) for name, visitor in visitors]
    hold.reached()
    hold.open()
    with ledger.trials("nobody meets another", "memory async") as trials:
        for (name, visitor), answer in zip(visitors, all_done(pending), strict=True):
            stored = visitor.ok(lambda visit: visit.session.to_dict())
            trials.check(answer.data == [name] * 3 and stored == dict.fromkeys("abc", name), answer)


def test_flask_threads_with_a_copied_context(sites: Sites, ledger: Ledger) -> None:
    """`current_session` in a thread that carries a request's context is that request's."""
    site = sites("flask", Place("memory", "memory://", "contexts"))
    hold = Hold(VISITORS)

    def handler_of(name: str) -> Any:
        def handler(visit: Visit):
            found: list[str | None] = []

            @copy_current_request_context
            def look() -> None:
                found.append(current_session.user_id)

            yield hold.stand(visit)
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
            return [*found, current_session.user_id]

        return handler

    visitors = [(name, site.signed_in(name)) for name in (fresh_user() for _ in range(VISITORS))]
    pending = [visitor.begin(handler_of(name)) for name, visitor in visitors]
    hold.reached()
    hold.open()
    with ledger.trials("nobody meets another", "memory sync") as trials:
        for (name, _), answer in zip(visitors, all_done(pending), strict=True):
            trials.check(answer.data == [name, name], (name, answer))
