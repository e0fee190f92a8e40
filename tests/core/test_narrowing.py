"""What narrows runs whatever else fails, and a stored identity reaches the browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openclaw_middleware import CodecError, SessionEnded, StoreUnavailable
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.driver import Driver
from openclaw_middleware.testing import Fault, wrap

from .lab import Lab


class Fails(Fault):
    """Fails one verb."""

    def __init__(self, verb: str) -> None:
        self.verb = verb

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        if operation == self.verb:
            raise StoreUnavailable("out of reach", operation=operation)
        answer = yield call()
        return answer


def two_devices(lab: Lab) -> tuple[Any, Any]:
    here, there = lab.browser(), lab.browser()
    here.sign_in("ada")
    there.sign_in("ada")
    lab.clock.advance(1)
    return here, there


@pytest.mark.parametrize("after", ["logout", "another login"])
def test_ending_another_device_survives_what_comes_after(after: str) -> None:
    """The wish belongs to the user who made it, not to who is signed in at the end."""
    lab = Lab()
    here, there = two_devices(lab)
    request = here.request()
    request.session.end_other(there.request().session.id)
    if after == "logout":
        request.session.logout()
    else:
        request.session.login("bob")
    request.finish()

    assert there.user() is None


def test_a_value_that_cannot_be_stored_does_not_keep_other_devices_signed_in() -> None:
    """The data fail with an error; the failed request still ends the others."""
    lab = Lab()
    here, there = two_devices(lab)
    here.visit(k=[])
    request = here.request()
    request.session["k"].append(object())
    request.session.logout_others()
    with pytest.raises(CodecError):
        request.finish()
    request.finish(failed=True)

    assert there.user() is None


def test_a_session_ended_elsewhere_does_not_stop_what_narrows() -> None:
    """With on_ended="error": 409, and the other devices are out all the same."""
    lab = Lab(on_ended="error")
    here, there = two_devices(lab)
    request = here.request()
    request.session["x"] = 1
    request.session.logout_others()
    other = here.twin().request()
    other.session.logout()
    other.finish()
    with pytest.raises(SessionEnded):
        request.finish()

    assert there.user() is None


def test_a_failure_after_the_new_identity_was_stored_still_hands_it_out() -> None:
    """The old token is dead by then: withholding the new one would log the user out."""
    lab = Lab()
    here, _ = two_devices(lab)
    request = here.request()
    request.session.regenerate()
    request.session.logout_others()
    lab.driver = Driver(wrap(lab.store, Fails("end_user")))
    with pytest.raises(StoreUnavailable):
        request.finish()
    [cookie] = request.x.parting_cookies()
    here.cookie = cookie.partition(";")[0].partition("=")[2]

    assert here.user() == "ada"


def test_take_answers_from_what_this_request_wrote() -> None:
    """A value set or removed here and not saved yet is what counts, and is gone afterwards."""
    lab = Lab()
    browser = lab.browser()
    browser.visit(code="old", other="old", keep=1)
    request = browser.request()
    request.session["code"] = "new"
    del request.session["other"]
    assert request.session.take("code") == "new"
    assert request.session.take("other", "none") == "none"
    request.finish()

    assert browser.data() == {"keep": 1}


def test_data_do_not_pass_to_another_user_through_the_identity_key() -> None:
    """Signing one user out and another in by the key, within one request."""
    lab = Lab(identity_key="_user_id")
    browser = lab.browser()
    browser.sign_in("ada")
    browser.visit(secret="adas")
    request = browser.request()
    request.session.pop("_user_id")
    request.session["_user_id"] = "bob"
    request.finish()

    assert browser.data() == {"_user_id": "bob"}
