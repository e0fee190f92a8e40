"""Every scenario through every driver and adapter: the table's demands, and the same bytes."""

from __future__ import annotations

from typing import Any

import pytest

from .runners import RUNNERS
from .scenarios import SCENARIOS, Scenario, Step
from .world import COOKIE, Call, Response, Runner, World

Account = list[dict[str, Any]]
_TOLD = ("cache-control", "retry-after", "location", "www-authenticate")


def account(runner: Any, scenario: Scenario) -> Account:
    """Run a scenario, check what the table demands, and tell what happened, step by step."""
    world = World(**scenario.settings)
    running: Runner = runner(world)
    try:
        return [perform(world, running, step, at) for at, step in enumerate(scenario.steps)]
    finally:
        running.close()


def perform(world: World, runner: Runner, step: Step, at: int) -> dict[str, Any]:
    if step.before is not None:
        step.before(world)
    browser = world.browser(step.browser)
    cookies = step.sends(world) if step.sends is not None else browser.header
    headers = (*step.headers, ("cookie", cookies)) if cookies else step.headers
    world.trips.reset()
    world.dropped.clear()
    response = runner.request(Call(step.handler, step.method, step.path, headers, step.query))
    trips = world.trips.total
    browser.take(response)
    where = f"{runner.name}, step {at}"
    demand(world, runner, step, response, trips, where)
    told: dict[str, Any] = {"status": response.status, "store": world.contents()}
    told["ended"] = world.ended()
    told["dropped"] = list(world.dropped)
    if step.eager is None:
        told["trips"] = trips
    if step.raises is None:
        told["headers"] = {name: response.one(name) for name in _TOLD}
        told["vary"] = sorted(v.strip().lower() for v in (response.one("vary") or "").split(","))
        told["cookies"] = response.all("set-cookie")
        told["body"] = response.body
    return told


def demand(
    world: World, runner: Runner, step: Step, response: Response, trips: int, where: str
) -> None:
    if response.error is not None and (
        step.raises is None or not isinstance(response.error, step.raises)
    ):
        raise AssertionError(f"{where}: {response.error!r}") from response.error
    assert response.status == step.status, f"{where}: {response.body!r}"
    wanted = step.eager if runner.eager and step.eager is not None else step.trips
    if wanted is not None:
        assert trips == wanted, f"{where}: {dict(world.trips.trips)}"
    if step.raises is None:
        demand_headers(step, response, where)
    if step.body is not None:
        assert response.body.decode() == step.body, where
    if step.stored is not None:
        assert world.live() == step.stored, where
    if step.check is not None:
        assert step.check(world, response), f"{where}: {response}"


def demand_headers(step: Step, response: Response, where: str) -> None:
    cookies = response.all("set-cookie")
    ours = [line for line in cookies if line.startswith(f"{COOKIE}=")]
    assert len(ours) <= 1, f"{where}: {cookies}"
    if step.cookie is not None:
        found = "none" if not ours else "deleted" if "Max-Age=0" in ours[0] else "set"
        assert found == step.cookie, f"{where}: {cookies}"
        assert step.cookie != "none" or cookies == [], f"{where}: {cookies}"
    if ours:
        assert "; HttpOnly; Path=/; SameSite=Lax" in ours[0], where
        control = response.one("cache-control") or ""
        assert "no-store" in control or "private" in control, f"{where}: {control}"
    if step.vary is not None:
        names = [v.strip().lower() for v in (response.one("vary") or "").split(",")]
        assert ("cookie" in names) == step.vary, f"{where}: {names}"
    if step.cache is not None:
        assert (response.one("cache-control") or "") == step.cache, where


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
@pytest.mark.parametrize("runner", RUNNERS, ids=lambda each: each.name)
def test_scenario(runner: Any, scenario: Scenario) -> None:
    if scenario.name in runner.skips:
        pytest.skip(runner.skips[scenario.name])
    told = account(runner, scenario)
    if runner is RUNNERS[0]:
        return
    for at, (ours, reference) in enumerate(zip(told, account(RUNNERS[0], scenario), strict=True)):
        shared = ours.keys() & reference.keys()
        assert {k: ours[k] for k in shared} == {k: reference[k] for k in shared}, f"step {at}"
