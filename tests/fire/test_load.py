"""Real load on two server processes that share one store, from many browsers at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from .browsing import Browser, server_process
from .ledger import TRIALS, Ledger
from .places import Place, fresh_user
from .visits import PATIENCE

PEOPLE = 8
SERVERS = 2


@pytest.fixture(params=["starlette", "flask"])
def urls(request: pytest.FixtureRequest, place: Place) -> Iterator[tuple[str, ...]]:
    """Two processes of one framework; they are gone afterwards."""
    with ExitStack() as stack:
        yield tuple(
            stack.enter_context(server_process(request.param, place))[1] for _ in range(SERVERS)
        )


def both(urls: tuple[str, ...], stack: ExitStack) -> list[Browser]:
    """A browser's connections to both servers."""
    made = [Browser(url) for url in urls]
    for each in made:
        stack.callback(each.close)
    return made


@pytest.mark.parametrize("place", ["redis", "postgres"], indirect=True)
def test_increments_are_exact_and_logouts_final(
    urls: tuple[str, ...], place: Place, ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    """Each person counts in two tabs at both servers; in the middle half of them log out.

    Who stayed has exactly as many counts as were answered, and nobody else's; who left is out at
    both servers, though their other tab went on.
    """
    kind = request.node.callspec.params["urls"]
    rounds = 2 * TRIALS
    start = threading.Barrier(2 * PEOPLE)

    def person(number: int, stack: ExitStack) -> tuple[str, list[Browser], list[Browser]]:
        name = fresh_user().replace(" ", "-")
        one, two = both(urls, stack), both(urls, stack)
        assert one[0].ask(f"/login/{name}") == name
        for each in (*one, *two):
            each.cookie = one[0].cookie
        return name, one, two

    def count(tab: list[Browser], leaves: bool) -> list[Any]:
        start.wait(PATIENCE)
        answers = []
        for n in range(rounds):
            browser = tab[n % SERVERS]
            if leaves and n == rounds // 2:
                assert browser.get("/logout/now").status == 200
                return answers
            answers.append(browser.get("/count/me"))
        return answers

    with ExitStack() as stack:
        people = [person(number, stack) for number in range(PEOPLE)]
        tokens = [one[0].cookie for _, one, _ in people]
        with ThreadPoolExecutor(2 * PEOPLE) as pool:
            work = [
                (pool.submit(count, one, number % 2 == 0), pool.submit(count, two, False))
                for number, (_, one, two) in enumerate(people)
            ]
        with ledger.trials("load: exact and final", f"{place.name} {kind}") as trials:
            for number, ((name, _, _), tabs) in enumerate(zip(people, work, strict=True)):
                answers = [answer for tab in tabs for answer in tab.result()]
                assert {answer.status for answer in answers} == {200}
                for browser in both(urls, stack):
                    browser.cookie = tokens[number]
                    if number % 2 == 0:
                        trials.check(browser.ask("/me/x") == "", name)
                    else:
                        trials.check(browser.ask("/me/x") == name, name)
                        trials.check(browser.ask("/number/x") == 2 * rounds, name)
                        assert not any(answer.ours for answer in answers)
