"""What one request does to its data is what is stored, whoever writes elsewhere meanwhile."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import pytest

from openclaw_middleware.core import events as ev

from .lab import Browser, Lab


@pytest.fixture
def lab() -> Lab:
    return Lab()


def visitor(lab: Lab, **data: Any) -> Browser:
    browser = lab.browser()
    browser.sign_in("ada")
    browser.visit(**data)
    return browser


# -- a plain dict is the judge

START = {"list": [{"q": 1}, {"q": 1}], "dict": {"in": {"n": 1}, "tags": {1}}, "n": 1}
KEYS = ("list", "dict", "n", "new")
VALUES: tuple[Any, ...] = (0, 1, True, 1.0, "x", None, [], [1], [True], {}, {"in": 0}, {1})
KINDS = ("set", "delete", "inside", "inside", "held", "apply", "save", "reload", "others")


def put_inside(value: Any, number: int) -> None:
    """Change something in place, as deep as can be reached."""
    if isinstance(value, list):
        if value and number % 2:
            put_inside(value[number % len(value)], number)
        value.append(number)
    elif isinstance(value, set):
        value.add(number)
    elif isinstance(value, dict):
        if value and number % 2:
            put_inside(sorted(value.items())[number % len(value)][1], number)
        value[str(number)] = [number]


def again(number: int) -> Any:
    """A pure function for `apply`."""

    def change(value: Any) -> Any:
        put_inside(value, number)
        return value if isinstance(value, list | dict | set) else number

    return change


def parts(value: Any) -> list[Any]:
    """Every container in a value, itself included, in one order."""
    if isinstance(value, dict):
        return [value, *(part for key in sorted(value) for part in parts(value[key]))]
    if isinstance(value, list):
        return [value, *(part for each in value for part in parts(each))]
    return [value] if isinstance(value, set) else []


class Twins:
    """The same moves on a session and on a plain dict, references into both included."""

    def __init__(self, lab: Lab, browser: Browser) -> None:
        self.browser = browser
        self.session = browser.request().session
        self.plain: dict[str, Any] = deepcopy(START)
        self.held: list[tuple[Any, Any]] = []
        self.count = 0

    def move(self, kind: str, key: str, what: int) -> None:
        session, plain = self.session, self.plain
        if kind == "set":
            session[key], plain[key] = deepcopy(VALUES[what]), deepcopy(VALUES[what])
        elif kind == "delete" and key in plain:
            del session[key], plain[key]
        elif kind == "inside" and key in plain:
            mine, theirs = parts(session[key]), parts(plain[key])
            self.held += zip(mine, theirs, strict=True)
            put_inside(session[key], what)
            put_inside(plain[key], what)
        elif kind == "held" and self.held:
            for each in self.held[what % len(self.held)]:
                put_inside(each, what)
        elif kind == "apply":
            for each in (session, plain):
                if each is session:
                    session.apply(key, again(what), default=0)
                else:
                    plain[key] = again(what)(deepcopy(plain.get(key, 0)))
        elif kind == "others":
            self.count += 1
            self.browser.visit(other=self.count)
        elif kind in ("save", "reload"):
            getattr(session, kind)()


@pytest.mark.parametrize("overtaken", [True, False])
def test_what_a_request_does_is_stored_when_others_write_elsewhere(overtaken: bool) -> None:
    """However it mixes assignments, changes in place, `apply`, `save` and `reload`, and whatever
    it has kept in its hands."""
    for seed in range(200):
        chance = Random(seed)
        lab = Lab()
        browser = visitor(lab, **START)
        twins = Twins(lab, browser)
        moves = [
            (chance.choice(KINDS), chance.choice(KEYS), chance.randrange(12)) for _ in range(8)
        ]
        for move in moves:
            twins.move(*move)
        if overtaken:
            twins.move("others", "", 0)
        twins.session.save()

        stored = browser.data()
        stored.pop("other", None)
        encode = lab.desk.encode
        found = {key: encode(value) for key, value in stored.items()}
        assert found == {key: encode(value) for key, value in twins.plain.items()}, (seed, moves)
        assert not lab.told(ev.Collided), (seed, moves)


# -- one by one


def test_a_change_in_place_before_apply_is_kept(lab: Lab) -> None:
    """A conflict repeats both, in their order."""
    browser = visitor(lab, log=[0])
    request = browser.request()
    request.session["log"].append("in place")
    request.session.apply("log", lambda log: [*log, "applied"])
    other = browser.request()
    other.session["log"].append("other")
    other.finish()
    request.finish()

    assert browser.data()["log"] == [0, "other", "in place", "applied"]


def test_a_change_in_place_between_two_calls_of_apply_is_kept(lab: Lab) -> None:
    """As many as there are."""
    browser = visitor(lab, cart={"n": 0})
    request = browser.request()

    def count(cart: dict[str, Any]) -> dict[str, Any]:
        return {**cart, "n": cart["n"] + 1}

    request.session.apply("cart", count)
    request.session["cart"]["note"] = "x"
    request.session.apply("cart", count)
    browser.visit(cart={"n": 10})
    request.finish()

    assert browser.data()["cart"] == {"n": 12, "note": "x"}


def test_a_change_in_place_before_apply_falls_with_its_key(lab: Lab) -> None:
    """Deleted meanwhile: only what `apply` makes of its default is new, and an event tells."""
    browser = visitor(lab, log=[0])
    request = browser.request()
    request.session["log"].append(1)
    request.session.apply("log", lambda log: [*log, 2], default=[])
    other = browser.request()
    del other.session["log"]
    other.finish()
    request.finish()

    assert browser.data() == {"log": [2]}
    assert [event.paths for event in lab.told(ev.Collided)] == [("log",)]


@pytest.mark.parametrize("look", ["save", "reload"])
def test_an_element_of_a_list_stays_in_the_hands_of_the_application(lab: Lab, look: str) -> None:
    """After a save that met another one, or a fresh look, it is still part of the session."""
    browser = visitor(lab, cart=[{"id": 1, "n": 1}, {"id": 2, "n": 1}])
    request = browser.request()
    item = request.session["cart"][1]
    request.session["mine"] = 1
    other = browser.request()
    other.session["cart"].append({"id": 3, "n": 1})
    other.finish()
    getattr(request.session, look)()
    item["n"] = 5
    request.finish()

    assert [(each["id"], each["n"]) for each in browser.data()["cart"]] == [(1, 1), (2, 5), (3, 1)]


def test_an_appended_element_is_not_mistaken_for_what_came_before_it(lab: Lab) -> None:
    """The application's own element keeps its content when another one was stored in its place."""
    browser = visitor(lab, cart=[])
    request = browser.request()
    mine = {"id": "mine"}
    request.session["cart"].append(mine)
    other = browser.request()
    other.session["cart"].append({"id": "other"})
    other.finish()
    request.session.save()
    mine["n"] = 5
    request.finish()

    assert browser.data()["cart"] == [{"id": "other"}, {"id": "mine", "n": 5}]


@pytest.mark.parametrize("deep", [False, True])
def test_one_list_under_two_keys_undoes_nobodys_change(lab: Lab, deep: bool) -> None:
    """What another request appended under the one key is there after this one's next save."""
    browser = visitor(lab)
    request = browser.request()
    shared = [1]
    request.session["a"] = {"in": shared} if deep else shared
    request.session["b"] = shared
    request.session.save()
    other = browser.request()
    (other.session["a"]["in"] if deep else other.session["a"]).append(2)
    other.finish()
    request.session["c"] = 1
    request.session.save()
    request.session["d"] = 1
    request.finish()

    found = {"in": [1, 2]} if deep else [1, 2]
    assert browser.data() == {"a": found, "b": [1], "c": 1, "d": 1}


def test_a_list_assigned_over_its_deletion_brings_back_only_what_was_added(lab: Lab) -> None:
    """Flask's messages: the page that showed the first one removed it, it is not shown again."""
    browser = visitor(lab, _flashes=["first"])
    request, page = browser.request(), browser.request()
    messages = request.session["_flashes"]
    messages.append("second")
    request.session["_flashes"] = messages
    assert page.session.pop("_flashes") == ["first"]
    page.finish()
    request.finish()

    assert browser.data() == {"_flashes": ["second"]}


def test_a_set_that_grew_at_a_fresh_look_does_not_bring_back_what_was_deleted_since(
    lab: Lab,
) -> None:
    """Only the members this request added are its own."""
    browser = visitor(lab)
    request = browser.request()
    request.session["tags"] = {"mine"}
    browser.visit(tags={"other"})
    request.session.reload()
    assert request.session["tags"] == {"mine", "other"}
    other = browser.request()
    del other.session["tags"]
    other.finish()
    request.finish()

    assert browser.data() == {"tags": {"mine"}}


def test_a_taken_value_comes_with_what_this_request_did_to_it(lab: Lab) -> None:
    """And that does not stay behind."""
    browser = visitor(lab, n=5, log=[1])
    request = browser.request()
    request.session.apply("n", lambda n: n + 1, default=0)
    request.session["log"].append(2)

    assert request.session.take("n") == 6
    assert request.session.take("log") == [1, 2]
    request.finish()

    assert browser.data() == {}
    assert not lab.told(ev.Collided)
