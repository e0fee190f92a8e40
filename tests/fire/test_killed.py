"""Servers and applications killed in the middle of writing: every record is whole, and what was
told to be stored is stored."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPException
from itertools import count, cycle
from json import JSONDecodeError
from typing import Any

import pytest

from tests.server_engines import MARIADB, POSTGRES, REDIS
from tests.servers import Servers

from .browsing import Browser, server_process
from .ledger import Ledger
from .ordeal import wait_for
from .places import Place, Sites, fresh_user
from .visits import Handler, Visit, Visitor, read, whoami

ENGINES = {"redis": REDIS, "postgres": POSTGRES, "mariadb": MARIADB}
OPTIONS = {"redis": ("--appendonly", "yes", "--appendfsync", "always")}
PEOPLE, KILLS, WRITES = 6, 3, 10


def stroke(number: int, then: Callable[[Visit], object]) -> Handler:
    """One commit that changes three keys, and perhaps the identity."""

    def handler(visit: Visit) -> None:
        session = visit.session
        session["a"] = number
        session["b"] = {"deep": number}
        session["log"].append(number)
        then(visit)

    return handler


def stay(visit: Visit) -> None:
    pass


def renew(visit: Visit) -> None:
    visit.session.regenerate()


def again(visit: Visit) -> None:
    visit.session.login(visit.session.user_id)


class Writer:
    """One person who writes without a pause, and remembers what was told."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self.user = fresh_user()
        self.visitor: Visitor = site.signed_in(self.user, a=0, b={"deep": 0}, log=[0])
        self.told, self.tried, self.done = 0, 0, 0
        self.former: list[Visitor] = []

    def write(self, stop: threading.Event) -> None:
        for number, then in zip(count(1), cycle((stay, stay, renew, stay, again)), strict=False):
            if stop.is_set():
                return
            before = self.visitor.twin()
            self.tried = number
            answer = self.visitor.do(stroke(number, then))
            if answer.status == 200:
                self.told, self.done = number, self.done + 1
                if self.visitor.cookie != before.cookie:
                    self.former.append(before)
            elif then is not stay:
                # A new identity whose answer was lost may have been stored: then the old is dead.
                if self.alive():
                    continue
                return

    def alive(self) -> bool:
        found: list[Any] = []

        def answered() -> bool:
            answer = self.visitor.twin().do(whoami)
            found.append(answer.data if answer.status == 200 else None)
            return answer.status == 200

        wait_for(answered)
        return bool(found[-1]["user"] == self.user)

    def verdict(self) -> str:
        """What is wrong with what is stored, empty for nothing."""
        alive = self.alive()
        listed = self.site.manage("sessions_of", self.user).items
        if len(listed) != 1:
            return f"{len(listed)} sessions"
        if any(each.twin().ok(whoami)["user"] for each in self.former):
            return "a former token is alive"
        if not alive:
            # Its successor is stored, and the answer with the token was lost with the server.
            return ""
        found = self.visitor.ok(read)
        if (found["b"], found["log"][-1]) != ({"deep": found["a"]}, found["a"]):
            return f"half a record: {found}"
        if not self.told <= found["a"] <= self.tried or len(set(found["log"])) != len(found["log"]):
            return f"told {self.told}, tried {self.tried}, stored {found}"
        return ""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_killed_while_everybody_writes(
    servers: Servers, sites: Sites, namespace: str, engine: str, ledger: Ledger
) -> None:
    """Killed three times: afterwards each record has all of a commit or nothing of it, every
    answered write is there, no list has an item twice, and one session lives for each person."""
    server = servers.start(ENGINES[engine], *OPTIONS.get(engine, ()))
    place = Place(engine, server.url, namespace)
    place.create_tables()
    made = [sites(kind, place, store_timeout=0.6) for kind in ("flask", "starlette")]
    people = [Writer(site) for site in made for _ in range(PEOPLE)]
    stop = threading.Event()
    with ThreadPoolExecutor(len(people)) as pool:
        work = [pool.submit(each.write, stop) for each in people]
        try:
            for _ in range(KILLS):
                enough = sum(each.done for each in people) + WRITES * len(people)
                wait_for(lambda enough=enough: sum(each.done for each in people) >= enough)
                server.kill()
                server.start()
        finally:
            stop.set()
        for each in work:
            each.result()
    for each in people:
        wait_for(lambda each=each: each.visitor.twin().do(read).status == 200)
        with ledger.trials("killed while writing", f"{engine} {each.site.colour}") as trials:
            wrong = each.verdict()
            trials.check(not wrong, wrong)
            assert each.told > 0
    server.remove()


@pytest.mark.parametrize("kind", ["flask", "starlette"])
def test_an_application_killed_while_everybody_writes_to_sqlite(
    tmp_path: Any, namespace: str, kind: str, ledger: Ledger
) -> None:
    """The process is the one that writes the file: what it had answered is in there."""
    place = Place("sqlite", f"sqlite:///{tmp_path}/sessions.db", namespace)
    told: dict[str, int] = {}
    cookies: dict[str, str] = {}

    def person(url: str, name: str) -> None:
        browser = Browser(url)
        browser.cookie = cookies.get(name)
        try:
            if browser.cookie is None:
                assert browser.ask(f"/login/{name}") == name
                cookies[name] = browser.cookie or ""
            while True:
                told[name] = browser.ask("/count/x")
        except (OSError, HTTPException, JSONDecodeError):
            pass  # the server is gone, perhaps in the middle of its answer
        finally:
            browser.close()

    names = [f"person{number}" for number in range(PEOPLE)]
    for _ in range(KILLS):
        with server_process(kind, place) as (process, url), ThreadPoolExecutor(PEOPLE) as pool:
            before = dict(told)
            work = [pool.submit(person, url, name) for name in names]
            # Of those who want the file's only lock, one may be passed over for seconds.
            wait_for(
                lambda before=before: (
                    all(told.get(name, 0) > before.get(name, 0) for name in names)
                    and sum(told.values()) >= sum(before.values()) + WRITES
                )
            )
            process.kill()
            for each in work:
                each.result()
    with ExitStack() as stack:
        _, url = stack.enter_context(server_process(kind, place))
        for name in names:
            browser = Browser(url)
            stack.callback(browser.close)
            browser.cookie = cookies[name]
            with ledger.trials("killed while writing", f"sqlite {kind}") as trials:
                found = browser.ask("/me/x"), browser.ask("/number/x")
                # The last request of each life may have been stored and not answered.
                kept = told[name] <= found[1] <= told[name] + 1
                trials.check(found[0] == name and kept, (found, told[name]))
