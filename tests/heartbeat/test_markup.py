"""What a page carries: the script, the element with what the server knows, the line without."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, tzinfo
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask, render_template_string
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client as WerkzeugClient

from openclaw_middleware import Policy, Session, SessionSettings
from openclaw_middleware.adapters.flask import OpenClaw
from openclaw_middleware.adapters.starlette import SessionMiddleware, session_keeper
from openclaw_middleware.heartbeat_markup import Html, Wishes
from openclaw_middleware.heartbeat_markup import session_keeper as markup
from openclaw_middleware.heartbeat_script import script
from openclaw_middleware.heartbeat_texts import LANGUAGES
from openclaw_middleware.testing import login
from tests.architecture import PACKAGE
from tests.drivers.runners import RUNNERS, Wsgi
from tests.drivers.world import World

from .pages import Page

SITE: dict[str, Any] = {
    "policies": {"strict": Policy(300, 3600)},
    "policy_paths": {"/admin": "strict"},
    "login_url": "/login",
}


class Read(HTMLParser):
    """The elements of a fragment, and the text of each."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.attributes: dict[str, dict[str, str | None]] = {}
        self.texts: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(fragment)
        self.close()
        assert not self.open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag not in self.attributes, f"one {tag} only"
        self.attributes[tag] = dict(attrs)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.texts[tag] = self.texts.get(tag, "") + data


def sign_in(session: Session) -> str:
    session.login("ada")
    return "in"


def rendering(page: Page, wishes: Wishes | None = None, **attributes: Any) -> Any:
    runtime = page.world.runtime("sync")
    return lambda session: markup(session, runtime, wishes or Wishes(), attributes)


def render(page: Page, path: str = "/", wishes: Wishes | None = None, **attributes: Any) -> str:
    return page.visit(rendering(page, wishes, **attributes), path).body.decode()


@pytest.fixture
def page() -> Page:
    return Page(Wsgi, **SITE)


# -- in every driver and adapter


@pytest.fixture(params=RUNNERS, ids=lambda each: each.name)
def anywhere(request: pytest.FixtureRequest) -> Any:
    page = Page(request.param, **SITE)
    yield page
    page.runner.close()


@pytest.mark.parametrize("path", ["/", "/admin/users"])
def test_the_page_knows_what_a_first_status_would_say(anywhere: Page, path: str) -> None:
    anywhere.visit(sign_in)
    anywhere.world.clock.advance(250)
    found = Read(render(anywhere, path)).attributes["session-keeper"]
    assert found["login-url"] in ("/login", "/accounts/login/")
    told = json.loads(found["at-load"] or "")
    asked = anywhere.status(f"path={path}")
    assert asked.pop("status") == 200
    assert asked.pop("nonce") is None, "which echoes a question"
    assert told == asked
    assert told["idle_left"] == (300 if path == "/admin/users" else 1800)


def test_it_costs_what_reading_costs(anywhere: Page) -> None:
    anywhere.visit(sign_in)
    anywhere.world.clock.advance(10)
    before = anywhere.world.contents()
    answer = anywhere.visit(rendering(anywhere))
    assert anywhere.world.trips.total == 1
    assert anywhere.world.contents() == before
    known = Read(answer.body.decode()).attributes["session-keeper"]["at-load"]
    assert json.loads(known or "")["idle_left"] == 1790, "not as if it had been written down"
    assert "cookie" in (answer.one("vary") or "").lower()
    assert answer.all("set-cookie") == []


def test_nothing_where_there_is_no_session_to_keep(anywhere: Page) -> None:
    assert render(anywhere) == ""
    assert anywhere.world.trips.total == 0
    anywhere.visit(lambda session: session.update(a=1))
    assert render(anywhere) == ""
    kept = Read(render(anywhere, anonymous=True)).attributes["session-keeper"]
    assert kept["anonymous"] is None


def test_nothing_in_an_area_that_asks(anywhere: Page) -> None:
    """So a base template that has it breaks no sign-in page there."""
    anywhere.visit(sign_in)
    anywhere.world.clock.advance(400)
    assert render(anywhere, "/admin/login") == ""
    assert anywhere.world.trips.trips["touch"] == 0


# -- what it says


def test_the_script_is_the_one_that_is_served(page: Page) -> None:
    page.visit(sign_in)
    found = Read(render(page, wishes=Wishes(nonce='n"x'))).attributes["script"]
    assert (found["type"], found["nonce"]) == ("module", 'n"x')
    source, _, query = str(found["src"]).partition("?")
    served = page.send("GET", source, query=query)
    assert "immutable" in (served.one("cache-control") or "")
    digest = base64.b64encode(hashlib.sha384(served.body).digest()).decode()
    assert found["integrity"] == f"sha384-{digest}"
    assert "nonce" not in Read(render(page)).attributes["script"]


def test_nothing_is_inline(page: Page) -> None:
    page.visit(sign_in)
    read = Read(render(page))
    assert "script" not in read.texts
    assert not any("style" in each for each in read.attributes.values())


def test_attributes_are_escaped(page: Page) -> None:
    page.visit(sign_in)
    nasty = "\"'><script>alert(1)</script>&"
    wishes = Wishes(noscript=nasty + "{time}", lang=nasty)
    text = render(page, wishes=wishes, data_text_title=nasty, on_end="reload", end_url=False)
    read = Read(text)
    found = read.attributes["session-keeper"]
    assert (found["data-text-title"], found["lang"]) == (nasty, nasty)
    assert found["on-end"] == "reload"
    assert "end-url" not in found
    assert read.texts["noscript"].startswith(nasty)
    assert "alert" not in read.texts.get("script", "")


@pytest.mark.parametrize("name", ["a b", "x><y", "Ä", "", "_", "a__b"])
def test_names_that_are_none_are_refused(page: Page, name: str) -> None:
    page.visit(sign_in)

    def handler(session: Session) -> str:
        with pytest.raises(ValueError, match="is no attribute"):
            markup(session, page.world.runtime("sync"), Wishes(), {name: "1"})
        return "refused"

    assert page.visit(handler).body == b"refused"


def test_a_sign_in_under_way_has_no_end_yet(page: Page) -> None:
    def handler(session: Session) -> str:
        session.login("ada")
        return markup(session, page.world.runtime("sync"), Wishes(), {})

    read = Read(page.visit(handler).body.decode())
    assert set(read.attributes) == {"script", "session-keeper"}
    assert "at-load" not in read.attributes["session-keeper"]


def test_limits_about_to_change_are_not_told_yet(page: Page) -> None:
    page.visit(sign_in)

    def handler(session: Session) -> str:
        session.use_policy("remember")
        return markup(session, page.world.runtime("sync"), Wishes(), {})

    read = Read(page.visit(handler).body.decode())
    assert set(read.attributes) == {"script", "session-keeper"}
    assert "at-load" not in read.attributes["session-keeper"]


def test_a_session_just_ended_is_not_kept(page: Page) -> None:
    page.visit(sign_in)

    def handler(session: Session) -> str:
        session.logout()
        return markup(session, page.world.runtime("sync"), Wishes(), {"anonymous": True})

    assert page.visit(handler).body == b""


def test_off_is_nothing() -> None:
    world = World()
    page = Page(Wsgi, world=world)
    page.visit(sign_in)
    assert render(page) == ""
    assert markup(None, World(enable_heartbeat=True).runtime("sync"), Wishes(), {}) == ""


def noscript(page: Page, path: str = "/", **wishes: Any) -> tuple[str, dict[str, str | None]]:
    read = Read(render(page, path, Wishes(**wishes)))
    return read.texts.get("noscript", ""), read.attributes.get("p", {})


def test_the_end_for_whoever_has_no_script(page: Page) -> None:
    """The world begins at 22:13:20 UTC on 14 November 2023."""
    page.visit(sign_in)
    assert "ends at 22:43 UTC unless you load a page" in noscript(page)[0]
    page.world.clock.advance(600)
    assert "22:53 UTC" in noscript(page)[0], "loading this page is activity"
    assert "22:28 UTC" in noscript(page, "/admin")[0]
    for _ in range(4):
        page.world.clock.advance(1200)
        render(page)
    assert "ends at 2023-11-15 00:13 UTC" in noscript(page, timezone=UTC)[0]
    berlin: tzinfo = ZoneInfo("Europe/Berlin")
    assert "01:13 CET" in noscript(page, timezone=berlin)[0]


def test_the_end_nothing_moves(page: Page) -> None:
    page.visit(sign_in)
    for _ in range(18):
        page.world.clock.advance(1500)
        page.visit(lambda session: session.get("a"))
    text, _ = noscript(page)
    assert "ends at 06:13 UTC. Save your work before." in text


def test_the_end_as_a_machine_reads_it(page: Page) -> None:
    page.visit(sign_in)
    read = Read(render(page))
    assert read.attributes["time"] == {"datetime": "2023-11-14T22:43:00+00:00"}


@pytest.mark.parametrize("lang", sorted(LANGUAGES))
def test_the_end_in_all_languages(page: Page, lang: str) -> None:
    page.visit(sign_in)
    texts = set()
    for variant in (lang, f"{lang.upper()}-xx"):
        text, attributes = noscript(page, lang=variant)
        assert "22:43 UTC" in text
        assert attributes["lang"] == lang
        assert attributes.get("dir") == ("rtl" if lang == "ar" else None)
        texts.add(text)
    assert len(texts) == 1
    assert (noscript(page, lang="tlh")[0] in texts) == (lang == "en")


def test_the_line_is_the_pages_to_word_or_leave_out(page: Page) -> None:
    page.visit(sign_in)
    assert noscript(page, noscript="Bis {time} & weiter") == ("Bis 22:43 UTC & weiter", {})
    assert noscript(page, noscript="")[0] == ""


def test_languages_are_the_clients() -> None:
    texts = (PACKAGE / "client_source" / "texts.js").read_text()
    assert set(re.findall(r"^  ([a-z]{2}): `", texts, re.M)) == LANGUAGES


def test_template_languages_take_it_as_it_is() -> None:
    shown = Environment(autoescape=True).from_string("{{ it }}").render(it=Html("<b>"))
    assert shown == "<b>"


# -- where the application hangs


def starlette_site(**options: Any) -> Starlette:
    async def home(request: Request) -> Response:
        return HTMLResponse(session_keeper(request, lang="de", on_end="reload"))

    settings = SessionSettings.for_tests(
        enable_heartbeat=True, heartbeat_prefix="/beat", skip_paths=("/public",), **options
    )
    app = Starlette(
        routes=[
            Route("/", home),
            Route("/public", home),
            Mount("/inner", routes=[Route("/page", home)]),
        ]
    )
    app.add_middleware(SessionMiddleware, sessions=settings)
    return app


def source_of(text: str) -> str:
    return str(Read(text).attributes["script"]["src"])


@pytest.mark.parametrize("path", ["/", "/inner/page"])
def test_starlette_at_the_root_of_a_site(path: str) -> None:
    client = TestClient(starlette_site())
    login(client, "ada")
    read = Read(client.get(path).text)
    source = f"/beat/client.js?v={script().version}"
    assert read.attributes["script"]["src"] == source
    assert client.get(source).status_code == 200
    found = read.attributes["session-keeper"]
    assert (found["lang"], found["on-end"]) == ("de", "reload")
    assert client.get("/public").text == ""


def test_starlette_behind_a_proxy_that_strips_a_prefix() -> None:
    client = TestClient(starlette_site(), root_path="/shop")
    login(client, "ada")
    assert source_of(client.get("/shop/inner/page").text).startswith("/shop/beat/client.js?")


@pytest.mark.parametrize(("root_path", "mount"), [("/shop/", "/shop"), ("/", "")])
def test_a_mount_that_ends_in_a_slash_makes_no_other_host(root_path: str, mount: str) -> None:
    """`//beat/client.js` would be a script of the host `beat`."""
    client = TestClient(starlette_site(), root_path=root_path)
    login(client, "ada")
    assert source_of(client.get("/").text).startswith(f"{mount}/beat/client.js?")


def test_a_cookie_that_does_not_reach_the_heartbeat_is_told_of() -> None:
    """Its page would cover itself, for nobody seems to be signed in."""
    page = Page(Wsgi, cookie_path="/app")
    page.visit(sign_in)
    with pytest.raises(AssertionError, match="set heartbeat_prefix to /app/_session/, or"):
        render(page, "/app/")
    assert 'base="/app/beat/"' in render(page, "/app/", base="/app/beat/")
    mended = Page(Wsgi, cookie_path="/app/", heartbeat_prefix="/app/_session/")
    mended.visit(sign_in)
    assert source_of(render(mended, "/app/")).startswith("/app/_session/client.js")
    client = TestClient(starlette_site(cookie_path="/shop"), root_path="/shop")
    login(client, "ada")
    assert source_of(client.get("/shop/").text).startswith("/shop/beat/client.js")


def test_starlette_mounted() -> None:
    inner = starlette_site()
    client = TestClient(Starlette(routes=[Mount("/shop", inner)]))
    helper = TestClient(inner)
    login(helper, "ada")
    name, value = next(iter(helper.cookies.items()))
    client.cookies.set(name, value)
    for path in ("/shop/", "/shop/inner/page"):
        source = source_of(client.get(path).text)
        assert source.startswith("/shop/beat/client.js?")
        assert client.get(source).status_code == 200


def test_flask_mounted_and_in_imported_macros() -> None:
    app = Flask("shop", static_folder=None)
    app.config.update(
        SECRET_KEY="x" * 8 + "0123456789abcdefghijklmnop",
        OPENCLAW={"STORE": "memory://", "COOKIE_SECURE": False, "ENABLE_HEARTBEAT": True}
        | {"SKIP_PATHS": ["/public"]},
    )
    OpenClaw(app)
    macro = "{% macro keep() %}{{ session_keeper(lang='fr', data_text_title='<&>') }}{% endmacro %}"
    app.jinja_env.loader = DictLoader({"macros.html": macro})

    @app.get("/")
    @app.get("/public", endpoint="public")
    def home() -> str:
        return render_template_string("{% import 'macros.html' as m %}{{ m.keep() }}")

    login(client := app.test_client(), "ada")
    cookie = client.get_cookie("session")
    assert cookie is not None
    mount = "/shöp".encode().decode("latin-1")  # as WSGI carries it
    outer = WerkzeugClient(DispatcherMiddleware(Flask("outer"), {mount: app.wsgi_app}))
    outer.set_cookie("session", cookie.value)
    text = outer.get("/shöp/").text
    read = Read(text)
    assert read.attributes["session-keeper"]["data-text-title"] == "<&>"
    assert "Sans JavaScript" in text
    source = str(read.attributes["script"]["src"])
    assert source.startswith("/sh%C3%B6p/_session/client.js?")
    assert outer.get(source).status_code == 200
    assert client.get("/public").text == ""
    with app.app_context():
        assert render_template_string("{{ session_keeper() }}") == ""
