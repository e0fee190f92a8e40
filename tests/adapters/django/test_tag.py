"""The template tag: Django's language, time zone, mount and levels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.template import Context, RequestContext, Template
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path
from django.utils import timezone, translation

from openclaw_middleware import ConfigurationError
from openclaw_middleware.adapters.django import conf
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.testing import Clock, login
from tests.fresh import namespace as new_namespace
from tests.heartbeat.test_markup import Read

from .project.settings import MIDDLEWARE

pytestmark = pytest.mark.usefixtures("test_database")
STOCK = ["django.contrib.sessions.middleware.SessionMiddleware", *MIDDLEWARE[1:]]


def shown(request: HttpRequest) -> HttpResponse:
    tag = '{% load openclaw %}{% session_keeper nonce=n data_text_title="<&>" anonymous=False %}'
    return HttpResponse(Template(tag).render(RequestContext(request, {"n": "abc"})))


async def ashown(request: Any) -> HttpResponse:
    await request.session.aload()
    return shown(request)


urlpatterns = [path("page", shown), path("apage", ashown), path("public/page", shown)]


@pytest.fixture(autouse=True)
def deployment(clock: Clock) -> Iterator[Deployment]:
    ours = {
        "STORE": "memory://",
        "NAMESPACE": new_namespace(),
        "ENABLE_HEARTBEAT": True,
        "SKIP_PATHS": ["/public"],
    }
    with override_settings(OPENCLAW=ours, ROOT_URLCONF=__name__):
        made = Deployment(conf.load_settings(), clock=clock)
        with conf.using(made):
            yield made


@pytest.mark.parametrize("name", ["page", "apage"])
@pytest.mark.parametrize("half", [Client, AsyncClient])
def test_the_tag(half: Any, name: str) -> None:
    client = half()
    get = async_to_sync(client.get) if half is AsyncClient else client.get
    assert get(f"/{name}").content == b""
    login(client, "7")
    read = Read(get(f"/{name}").content.decode())
    assert read.attributes["script"]["nonce"] == "abc"
    found = read.attributes["session-keeper"]
    assert (found["data-text-title"], found["login-url"]) == ("<&>", "/accounts/login/")
    assert found["lang"] == "en-us"
    assert get("/public/page").content == b""


def test_language_and_time_zone_are_djangos(clock: Clock) -> None:
    client = Client()
    login(client, "7")
    with translation.override("de-at"), timezone.override("Asia/Tokyo"):
        text = client.get("/page").content.decode()
    assert "Ohne JavaScript" in text
    assert " JST</time>" in text


def test_under_a_script_name() -> None:
    client = Client(SCRIPT_NAME="/shop")
    login(client, "7")
    read = Read(client.get("/page").content.decode())
    assert str(read.attributes["script"]["src"]).startswith("/shop/_session/client.js?v=")


def test_nothing_under_the_stock_middleware() -> None:
    with override_settings(MIDDLEWARE=STOCK):
        client = Client()
        login(client, "7")
        assert client.get("/page").content == b""


def test_without_a_request_the_mend_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"context_processors\.request"):
        Template("{% load openclaw %}{% session_keeper %}").render(Context())
    bare = RequestFactory().get("/page")
    assert (
        Template("{% load openclaw %}{% session_keeper %}").render(Context({"request": bare})) == ""
    )
