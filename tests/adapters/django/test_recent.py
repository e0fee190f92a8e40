"""Recent sign-ins and areas through Django's own parts: views, auth, the admin, middleware."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.contrib.auth import login as auth_login
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.generic import TemplateView

from openclaw_middleware import ReauthenticationRequired
from openclaw_middleware.adapters.django import RecentLoginMixin, conf, get_session, require_recent
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.core.areas import Areas
from openclaw_middleware.testing import Clock, login
from tests.fresh import namespace as new_namespace

from .project import aviews, views
from .project.settings import MIDDLEWARE

pytestmark = pytest.mark.usefixtures("database")

PAGE = {"headers": {"sec-fetch-dest": "document"}}
STOCK = ["django.contrib.sessions.middleware.SessionMiddleware", *MIDDLEWARE[1:]]


@require_recent(300)
def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


@require_recent(300)
async def awaited(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


class Plain(RecentLoginMixin, View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("done")


class Awaited(RecentLoginMixin, View):
    max_age: ClassVar = 300

    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("done")


@method_decorator(require_recent(300), name="dispatch")
class Decorated(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("done")


def data(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.session.get("a")))


async def adata(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await request.session.aget("a")))


def own_answer(request: HttpRequest) -> HttpResponse:
    try:
        request.session.get("a")
    except ReauthenticationRequired:
        return HttpResponseForbidden("my own")
    return HttpResponse("open")


REST = """
def dispatch(request):
    try:
        return view(request)
    except PermissionDenied:
        return HttpResponseForbidden("what Django REST framework says")
"""


def rest() -> Any:
    """Django REST framework's `APIView.dispatch`, as far as it catches errors."""
    there: dict[str, Any] = {"__name__": "rest_framework.views", "view": plain}
    there |= {"PermissionDenied": PermissionDenied, "HttpResponseForbidden": HttpResponseForbidden}
    exec(REST, there)  # noqa: S102  # its module is what tells it
    return there["dispatch"]


def again(request: HttpRequest) -> HttpResponse:
    auth_login(request, User.objects.get())
    return HttpResponse("again")


def cycle(request: HttpRequest) -> HttpResponse:
    request.session.cycle_key()
    return HttpResponse("cycled")


urlpatterns = [
    path("recent/plain", plain),
    path("recent/awaited", awaited),
    path("recent/class", Plain.as_view()),
    path("recent/aclass", Awaited.as_view()),
    path("recent/decorated", Decorated.as_view()),
    path("recent/rest", rest()),
    path("sign-in", LoginView.as_view(redirect_authenticated_user=True), name="sign-in"),
    path("strict/data", data),
    path("strict/adata", adata),
    path("strict/who", views.whoami),
    path("strict/awho", aviews.whoami),
    path("strict/public", views.public),
    path("strict/again", again),
    path("strict/cycle", cycle),
    path("strict/out", views.sign_out),
    path("strict/aout", aviews.sign_out),
    path("strict/own", own_answer),
    path("strict/run", views.run),
    path("who", views.whoami),
    path("admin/", admin.site.urls),
]


@contextmanager
def deployed(clock: Clock, **given: Any) -> Iterator[Deployment]:
    ours = {
        "STORE": "memory://",
        "NAMESPACE": new_namespace(),
        "POLICIES": {"strict": {"IDLE_TIMEOUT_SECONDS": 300, "ABSOLUTE_TIMEOUT_SECONDS": 3600}},
        "POLICY_PATHS": {"/strict": "strict", "/admin": "strict"},
    }
    with override_settings(
        OPENCLAW=ours, ROOT_URLCONF=__name__, **{"LOGIN_URL": "sign-in", **given}
    ):
        made = Deployment(conf.load_settings(), clock=clock)
        with conf.using(made):
            yield made


@pytest.fixture(autouse=True)
def deployment(clock: Clock) -> Iterator[Deployment]:
    with deployed(clock) as made:
        yield made


@pytest.fixture
def ada() -> User:
    return User.objects.create_superuser("ada", password="secret")


@pytest.fixture
def client(ada: User) -> Client:
    client = Client()
    client.force_login(ada)
    session = client.session
    session["a"] = 1
    session.save()
    return client


def asked(response: Any, way: str | None = None) -> bool:
    if way is None:
        return bool(response.status_code == 401 and response["WWW-Authenticate"])
    return bool(response.status_code == 303 and response["Location"] == f"/sign-in?next={way}")


@pytest.mark.parametrize("name", ["plain", "awaited", "class", "aclass", "decorated", "rest"])
@pytest.mark.parametrize("half", [Client, AsyncClient])
def test_views_of_all_kinds(half: Any, name: str, ada: User, clock: Clock) -> None:
    client = half()
    get = async_to_sync(client.get) if half is AsyncClient else client.get
    where = f"/recent/{name}"
    assert asked(get(where))
    login(client, ada.pk)
    assert get(where).content == b"done"
    clock.advance(301)
    refused = get(where)
    assert asked(refused)
    assert refused["Cache-Control"] == "no-store"
    assert asked(get(where, **PAGE), where)


def test_a_mixin_that_nothing_would_ask_is_no_class() -> None:
    with pytest.raises(TypeError, match="put RecentLoginMixin before the view"):
        type("Late", (TemplateView, RecentLoginMixin), {})
    type("Early", (RecentLoginMixin, TemplateView), {})


def test_the_stock_middleware_answers_403(ada: User, clock: Clock) -> None:
    with override_settings(MIDDLEWARE=STOCK):
        client = Client()
        client.force_login(ada)
        assert client.get("/recent/plain").content == b"done"
        clock.advance(301)
        assert client.get("/recent/plain").status_code == 403


@pytest.mark.parametrize("where", ["/strict/data", "/strict/adata"])
def test_data_of_an_area_want_a_fresh_sign_in(where: str, client: Client, clock: Clock) -> None:
    assert client.get(where).content == b"1"
    clock.advance(400)
    assert asked(client.get(where))
    assert asked(client.get(where, {"p": "2"}, **PAGE), f"{where}%3Fp%3D2")
    assert client.get("/who").content == b"ada"


@pytest.mark.parametrize("where", ["/strict/who", "/strict/awho"])
def test_nobody_is_signed_in_in_an_area_that_asks(where: str, client: Client, clock: Clock) -> None:
    """So each check that Django and others make of `request.user` holds."""
    assert client.get(where).content == b"ada"
    clock.advance(400)
    for _ in range(2):
        assert client.get(where).content == b"nobody"
    assert client.get("/strict/public").content == b"public"
    assert client.get("/who").content == b"ada"


def test_the_way_through_the_sign_in_page(client: Client, clock: Clock) -> None:
    """`redirect_authenticated_user` sends on whoever is signed in; not who was sent there."""
    assert client.get("/sign-in").status_code == 302
    clock.advance(400)
    way = client.get("/strict/data", **PAGE)["Location"]
    assert client.get("/sign-in").status_code == 302
    clock.advance(400)
    with override_settings(TEMPLATES=FORM):
        assert client.get(way).content == b"form"
    done = client.post(way, {"username": "ada", "password": "secret"})
    assert (done.status_code, done["Location"]) == (302, "/strict/data")
    assert client.get("/strict/data").content == b"1"


FORM = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                ("django.template.loaders.locmem.Loader", {"registration/login.html": "form"})
            ]
        },
    }
]


def test_the_admin_works_with_nothing_else_said(client: Client, clock: Clock) -> None:
    assert client.get("/admin/auth/user/").status_code == 200
    clock.advance(400)
    sent = client.get("/admin/auth/user/")
    way = "/admin/login/?next=/admin/auth/user/"
    assert (sent.status_code, sent["Location"]) == (302, way)
    form = client.get(way)
    assert (form.status_code, b"password" in form.content) == (200, True)
    done = client.post(way, {"username": "ada", "password": "secret"})
    assert (done.status_code, done["Location"]) == (302, "/admin/auth/user/")
    assert client.get("/admin/auth/user/").status_code == 200


def test_signing_in_within_the_area(client: Client, clock: Clock) -> None:
    clock.advance(400)
    before = client.cookies["sessionid"].value
    assert client.get("/strict/again").content == b"again"
    assert client.cookies["sessionid"].value != before
    assert client.get("/strict/data").content == b"1"


@pytest.mark.parametrize("where", ["/strict/out", "/strict/aout"])
def test_signing_out_within_the_area(where: str, client: Client, clock: Clock) -> None:
    clock.advance(400)
    assert client.get(where).content == b"bye"
    assert client.get("/who").content == b"nobody"


def test_a_new_key_alone_opens_nothing(client: Client, clock: Clock) -> None:
    clock.advance(400)
    client.get("/strict/cycle")
    assert asked(client.get("/strict/data"))


class Zone:
    """A middleware that reads the session first, as Django's documentation has one for zones."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        request.session.get("zone")
        return self.get_response(request)


def test_a_middleware_that_looks_first_makes_no_error(
    client: Client, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.advance(400)
    with override_settings(MIDDLEWARE=[*MIDDLEWARE, f"{__name__}.Zone"]):
        with caplog.at_level(logging.ERROR):
            assert asked(client.get("/strict/public"))
            assert asked(client.get("/strict/public", **PAGE), "/strict/public")
        assert caplog.records == []
        assert client.get("/who").content == b"ada"


class Footer:
    """A middleware that looks at the session when the view has answered."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        response = self.get_response(request)
        response["X-A"] = str(request.session.get("a"))
        return response


def test_a_middleware_that_looks_afterwards(client: Client, clock: Clock) -> None:
    clock.advance(400)
    with override_settings(MIDDLEWARE=[*MIDDLEWARE, f"{__name__}.Footer"]):
        answer = client.get("/strict/data")
        assert (asked(answer), answer["X-A"]) == (True, "1")


def test_a_view_may_answer_itself(client: Client, clock: Clock) -> None:
    clock.advance(400)
    answer = client.get("/strict/own")
    assert (answer.status_code, answer.content) == (403, b"my own")


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"LOGIN_URL": "/elsewhere/"}, "/elsewhere/?next=/strict/data"),
        ({"LOGIN_URL": "no-such-route"}, None),
    ],
)
def test_login_url_as_projects_write_it(
    given: dict[str, str], where: str | None, ada: User, clock: Clock
) -> None:
    with deployed(clock, **given):
        client = Client()
        client.force_login(ada)
        clock.advance(400)
        assert client.get("/strict/data", **PAGE).get("Location") == where


@pytest.mark.parametrize("half", [Client, AsyncClient])
def test_an_area_behind_a_proxy_that_takes_the_mount_away(
    half: Any, ada: User, clock: Clock
) -> None:
    with deployed(clock, FORCE_SCRIPT_NAME="/shop", LOGIN_URL="/shop/sign-in") as made:
        area = {"/shop/strict": made.desk.rules.policies["strict"]}
        made.desk = replace(made.desk, rules=replace(made.desk.rules, areas=Areas(area)))
        client = half()
        get = async_to_sync(client.get) if half is AsyncClient else client.get
        login(client, ada.pk)
        clock.advance(400)
        way = get("/strict/data", **PAGE)["Location"]
        assert way == "/shop/sign-in?next=/shop/strict/data"


def test_every_request_as_activity_is_none_where_it_is_refused(
    client: Client, clock: Clock
) -> None:
    with override_settings(SESSION_SAVE_EVERY_REQUEST=True), deployed(clock):
        client = Client()
        client.force_login(User.objects.get())
        clock.advance(400)
        client.get("/strict/public")
        assert asked(client.get("/strict/data"))


def test_the_session_knows_what_is_possible(client: Client, clock: Clock) -> None:
    clock.advance(400)

    def look(request: HttpRequest) -> str:
        session = get_session(request)
        found = ["_auth_user_id" in session]
        session.login("7")
        return json.dumps([*found, session.user_id])

    views.task = look
    assert json.loads(client.get("/strict/run").content) == [False, "7"]
