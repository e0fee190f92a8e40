"""README's last column: what each promise is worth on our engine under Django's own middleware."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, override_settings

from openclaw_middleware import EndReason, StoreUnavailable
from openclaw_middleware.adapters.django import conf, get_manager
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.core.steps import Steps
from openclaw_middleware.testing import Clock, Counting, Fault, wrap
from tests.fresh import namespace as new_namespace

from .project import views
from .project.settings import MIDDLEWARE

pytestmark = pytest.mark.usefixtures("deployment", "database")


@pytest.fixture(autouse=True)
def stock() -> Iterator[None]:
    first = "django.contrib.sessions.middleware.SessionMiddleware"
    with override_settings(MIDDLEWARE=[first, *MIDDLEWARE[1:]]):
        yield


class Away(Fault):
    """The store is out of reach while `on`."""

    on = True

    def around(self, operation: str, call: Callable[[], Any]) -> Steps[Any]:
        if self.on:
            raise StoreUnavailable("out of reach", operation=operation)
        answer = yield call()
        return answer


@pytest.fixture
def away(deployment: Deployment) -> Away:
    fault = Away()
    fault.on = False
    deployment.blocking.store = wrap(deployment.blocking.store, fault)
    return fault


def browser(**data: str) -> Client:
    client = Client(raise_request_exception=False)
    client.get("/write", data or {"a": "1"})
    return client


def run(client: Client, task: Callable[[Any], Any]) -> Any:
    views.task = task
    return client.get("/run")


@pytest.mark.parametrize("path", ["/read", "/write?a=2", "/whoami"])
def test_p8_the_error_is_raised_and_django_answers_500(away: Away, clock: Clock, path: str) -> None:
    client = browser()
    away.on = True
    response = client.get(path)
    assert response.status_code == 500
    assert not response.cookies
    assert client.get("/public").status_code == 200
    assert Client().get("/read").json() == {}
    away.on = False
    clock.advance(2)
    assert client.get("/read").json() == {"a": "1"}


def test_p8_the_applications_code_meets_the_error_itself(away: Away) -> None:
    client = Client()
    client.get("/write", {"a": "1"})
    away.on = True
    with pytest.raises(StoreUnavailable):
        client.get("/read")


def test_p9_what_could_not_be_stored_is_no_success(away: Away, clock: Clock) -> None:
    client = browser()

    def write(request: Any) -> HttpResponse:
        request.session["b"] = 2
        away.on = True
        return HttpResponse("stored")

    response = run(client, write)
    assert response.status_code == 500
    assert b"stored" not in response.content
    assert not response.cookies
    away.on = False
    clock.advance(2)
    assert client.get("/read").json() == {"a": "1"}


def test_p9_a_failed_page_stores_no_data_and_a_logout_all_the_same() -> None:
    client = browser()
    client.get("/write", {"b": "1", "status": "500"})
    assert client.get("/read").json() == {"a": "1"}

    def leave(request: Any) -> HttpResponse:
        request.session.flush()
        return HttpResponse("sorry", status=500)

    token = client.cookies["sessionid"].value
    run(client, leave)
    client.cookies["sessionid"] = token
    assert client.get("/read").json() == {}


def test_p11_a_sign_in_under_way_does_not_survive_log_out_everywhere() -> None:
    ada = User.objects.create_user("ada", password="pw")
    client = browser()

    def sign_in(request: Any) -> HttpResponse:
        get_manager().revoke_user(ada.pk)
        return views.sign_in(request)

    views.task = sign_in
    response = client.get("/run", {"name": "ada", "password": "pw"})
    assert response.status_code == 400
    assert not response.cookies
    assert get_manager().sessions_of(ada.pk).items == ()
    assert client.get("/read").json() == {"a": "1"}


def test_p11_log_out_everywhere_reaches_every_session() -> None:
    ada = User.objects.create_user("ada", password="pw")
    clients = [browser() for _ in range(3)]
    for client in clients:
        client.get("/login", {"name": "ada", "password": "pw"})
        assert client.get("/whoami").content == b"ada"
    assert get_manager().revoke_user(ada.pk) == 3
    assert [client.get("/whoami").content for client in clients] == [b"nobody"] * 3


def test_p4_a_forged_cookie_costs_no_store_call(deployment: Deployment) -> None:
    client = browser()
    genuine = client.cookies["sessionid"].value
    counting = Counting()
    deployment.blocking.store = wrap(deployment.blocking.store, counting)
    for forged in (genuine[:-1], genuine + "x", "x" * 40, genuine.rpartition(".")[0]):
        client.cookies["sessionid"] = forged
        response = client.get("/read")
        assert (response.status_code, response.json()) == (200, {})
    assert counting.total == 0


def test_p6_a_new_identity_at_the_sign_in_and_no_timed_rotation(clock: Clock) -> None:
    User.objects.create_user("ada", password="pw")
    settings: dict[str, Any] = {"STORE": "memory://", "NAMESPACE": new_namespace()}
    settings["ROTATION_INTERVAL_SECONDS"] = 45
    with override_settings(OPENCLAW=settings), conf.using(_deployment(clock)):
        client = browser()
        before = client.cookies["sessionid"].value
        client.get("/login", {"name": "ada", "password": "pw"})
        token = client.cookies["sessionid"].value
        assert token.split(".")[:2] != before.split(".")[:2]
        for _ in range(5):
            clock.advance(60)
            client.get("/write", {"b": "1"})
            assert client.cookies["sessionid"].value == token
            assert client.get("/whoami").content == b"ada"
        client.cookies["sessionid"] = before
        assert client.get("/read").json() == {}


def _deployment(clock: Clock) -> Deployment:
    return Deployment(conf.load_settings(), clock=clock)


@pytest.mark.parametrize(("step", "reason"), [(1801, EndReason.IDLE), (1700, EndReason.ABSOLUTE)])
def test_p7_both_clocks_end_it(clock: Clock, step: int, reason: EndReason) -> None:
    client = browser()
    for _ in range(28800 // step):
        clock.advance(step)
        if client.get("/read").json() == {}:
            break
    else:
        clock.advance(step)
    ends: list[Any] = []
    run(client, lambda request: ends.append(request.session.previous_end))
    assert ends == [reason]


def test_p12_vary_is_djangos_and_shared_caching_yours() -> None:
    client = browser()

    def page(request: Any) -> HttpResponse:
        request.session["b"] = 1
        return HttpResponse("page", headers={"Cache-Control": "public, max-age=60"})

    response = run(client, page)
    assert "Cookie" in response.headers["Vary"]
    assert response.headers["Cache-Control"] == "public, max-age=60"
    assert "Vary" not in client.get("/public").headers


def test_p13_the_key_is_the_cookie_and_the_store_holds_its_hash_alone(
    deployment: Deployment,
) -> None:
    client = browser()
    token = client.cookies["sessionid"].value
    keys: list[Any] = []
    run(client, lambda request: keys.append(request.session.session_key))
    assert keys == [token]
    state: Any = deployment.blocking.store.state  # type: ignore[attr-defined]  # the memory store's
    (record,) = state.records.values()
    secret = token.rsplit(".", 2)[1]
    stored = [getattr(record, name) for name in record.__slots__]
    assert len(secret) > 40
    assert record.id == token.rsplit(".", 3)[0]
    assert not any(secret in repr(value) for value in stored)
