"""`flask.session` as Flask applications and their tests use it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from flask import (
    Flask,
    flash,
    get_flashed_messages,
    render_template_string,
    request,
    session,
    stream_with_context,
)
from flask.views import MethodView
from markupsafe import Markup
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from openclaw_middleware import ConfigurationError, SessionManager, SessionSettings
from openclaw_middleware.adapters.flask import (
    OpenClaw,
    current_session,
    get_manager,
    get_session,
)
from openclaw_middleware.testing import login, session_of
from openclaw_middleware.wsgi import get_session as environ_session
from tests.drivers.world import SECRET, World

from .flask_apps import cookies, make


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def app(world: World) -> Flask:
    return make(world)


def test_page_that_ignores_the_session_says_nothing_of_it(world: World, app: Flask) -> None:
    @app.get("/")
    def page() -> str:
        return render_template_string("<p>{{ request.path }}</p>")

    client = app.test_client()
    login(client, "u1")
    world.trips.reset()
    response = client.get("/")
    assert "Vary" not in response.headers
    assert cookies(response) == []
    assert world.trips.total == 0


def test_tutorial_log_in_with_clear(world: World, app: Flask) -> None:
    @app.route("/login", methods=["POST"])
    def log_in() -> str:
        session.clear()
        session["user_id"] = 7
        return "in"

    @app.route("/logout")
    def log_out() -> str:
        session.clear()
        return "out"

    @app.route("/")
    def page() -> str:
        return str(session.get("user_id"))

    client = app.test_client()
    with client.session_transaction() as before:
        before["cart"] = [1]
    old = client.get_cookie("session").value
    client.post("/login")
    assert client.get("/").text == "7"
    assert client.get_cookie("session").value != old
    assert world.live() == [(None, {"user_id": 7})]
    thief = app.test_client()
    thief.set_cookie("session", old)
    assert thief.get("/").text == "None"
    client.get("/logout")
    assert client.get_cookie("session") is None
    assert world.live() == []


class Lazy:
    """Text made when it is shown, as translation libraries have it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


Lazy.__name__ = "LazyString"


def test_flash_keeps_markup_tuples_and_lazy_text(world: World, app: Flask) -> None:
    @app.get("/set")
    def put() -> str:
        flash(Markup("<b>bold</b>"))
        flash("<i>plain</i>", "warning")
        flash(Lazy("lazy"))  # type: ignore[arg-type]  # what translation libraries do
        session["pair"] = (1, ("a", Markup("<u>")))
        return ""

    @app.get("/show")
    def show() -> str:
        assert session["pair"] == (1, ("a", Markup("<u>")))
        assert isinstance(session["pair"][1][1], Markup)
        return render_template_string(
            "{% for c, m in get_flashed_messages(with_categories=true) %}{{ c }}:{{ m }};"
            "{% endfor %}"
        )

    client = app.test_client()
    client.get("/set")
    assert client.get("/show").text == (
        "message:<b>bold</b>;warning:&lt;i&gt;plain&lt;/i&gt;;message:lazy;"
    )
    assert client.get("/show").text == ""


def test_flash_beside_a_logout_in_the_same_request(world: World, app: Flask) -> None:
    @app.get("/bye")
    def bye() -> str:
        current_session.logout()
        flash("bye")
        return ""

    @app.get("/")
    def page() -> str:
        return f"{current_session.user_id} {get_flashed_messages()}"

    client = app.test_client()
    login(client, "u1", secret="x")
    client.get("/bye")
    assert client.get("/").text == "None ['bye']"
    assert world.live() == [(None, {})]


def test_session_transaction(world: World, app: Flask) -> None:
    @app.get("/")
    def page() -> dict[str, Any]:
        return {**session}

    client = app.test_client()
    with client.session_transaction() as inside:
        assert inside.new
        inside["a"] = [1]
    with client.session_transaction() as inside:
        assert not inside.new
        inside["a"].append(2)
    assert client.get("/").json == {"a": [1, 2]}
    with client.session_transaction() as inside:
        assert inside["a"] == [1, 2]
        inside.clear()
    assert client.get_cookie("session") is None
    assert world.live() == []


def test_session_transaction_signs_in(app: Flask) -> None:
    app.add_url_rule("/", view_func=lambda: str(current_session.user_id))
    client = app.test_client()
    with client.session_transaction() as inside:
        inside["_user_id"] = "u1"
    assert client.get("/").text == "u1"
    assert session_of(client).user_id == "u1"


def test_request_context_without_a_server(world: World, app: Flask) -> None:
    app.add_url_rule("/", view_func=lambda: session.setdefault("a", "set"))
    with app.test_request_context("/"):
        session["x"] = 1
        assert get_session() is session._get_current_object()  # type: ignore[attr-defined]
    assert world.live() == []
    with app.test_request_context("/"):
        response = app.full_dispatch_request()
    assert len(cookies(response)) == 1
    assert response.headers["Vary"] == "Cookie"
    assert world.live() == [(None, {"a": "set"})]


def test_members_flask_and_its_extensions_expect(world: World, app: Flask) -> None:
    @app.get("/")
    def page() -> str:
        assert session.new
        assert session.accessed
        assert not session.modified
        assert not session.permanent
        assert session.sid == session.id  # type: ignore[attr-defined]
        session["a"] = {"b": 1}
        assert session.modified
        return ""

    @app.get("/again")
    def again() -> str:
        assert not session.new
        session["a"]["b"] = 2
        session.modified = True
        return ""

    client = app.test_client()
    client.get("/")
    client.get("/again")
    assert world.live() == [(None, {"a": {"b": 2}})]


def test_modified_set_by_hand_writes_nothing_equal(world: World, app: Flask) -> None:
    @app.get("/")
    def page() -> str:
        session.modified = True
        return ""

    client = app.test_client()
    client.get("/")
    assert world.live() == []
    login(client, "u1", a=1)
    world.trips.reset()
    client.get("/")
    assert world.trips.total == 0


def test_hooks_write_around_the_view(world: World, app: Flask) -> None:
    @app.before_request
    def before() -> None:
        session["trail"] = ["before"]

    @app.after_request
    def after(response: Any) -> Any:
        session["trail"].append("after")
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        session["trail"].append("teardown")

    @app.get("/")
    def page() -> str:
        session["trail"].append("view")
        return ""

    app.test_client().get("/")
    assert world.live() == [(None, {"trail": ["before", "view", "after", "teardown"]})]


def test_stream_writes_after_the_first_byte(world: World, app: Flask) -> None:
    @app.get("/")
    def page() -> Any:
        session["a"] = 1

        def chunks() -> Any:
            yield "one"
            session["b"] = 2
            yield "two"

        return stream_with_context(chunks())

    with app.test_client().get("/") as response:
        assert response.text == "onetwo"
    assert world.live() == [(None, {"a": 1, "b": 2})]


def test_context_kept_by_the_test_client(app: Flask) -> None:
    app.add_url_rule("/", view_func=lambda: session.setdefault("a", "x"))
    with app.test_client() as client:
        client.get("/")
        assert session["a"] == "x"


def test_class_based_and_async_views(world: World, app: Flask) -> None:
    class Counter(MethodView):
        def get(self) -> str:
            return str(current_session.apply("n", lambda n: n + 1, 0))

    app.add_url_rule("/", view_func=Counter.as_view("counter"))
    client = app.test_client()
    assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]


# -- names


def test_typed_accessors(app: Flask) -> None:
    @app.get("/")
    def page() -> str:
        assert get_session(request) is get_session()
        assert current_session == session
        assert environ_session(request.environ) is get_session()
        get_session().login("u1")
        get_session().save()
        return str(
            [each.id == current_session.id for each in get_manager().sessions_of("u1").items]
        )

    assert app.test_client().get("/").text == "[True]"
    with pytest.raises(ConfigurationError, match="no request"):
        get_session()
    with pytest.raises(ConfigurationError, match="no current application"):
        get_manager()
    plain = Flask("plain")
    plain.secret_key = "x"
    with plain.test_request_context(), pytest.raises(ConfigurationError, match=r"OpenClaw\(app\)"):
        get_session()
    with pytest.raises(ConfigurationError, match="plain has no sessions of ours"):
        get_manager(plain)


def test_skipped_path_has_no_session(world: World) -> None:
    app = make(world, OPENCLAW={"SKIP_PATHS": ["/static"]})

    @app.get("/static/x")
    def page() -> str:
        assert session.get("a") is None
        with pytest.raises(ConfigurationError, match="skip_paths covers this path"):
            session["a"] = 1
        with pytest.raises(ConfigurationError, match="skip_paths"):
            get_session()
        return "x"

    response = app.test_client().get("/static/x")
    assert response.status_code == 200
    assert "Vary" not in response.headers


# -- templates


def test_templates_find_the_applications_keys_first(app: Flask) -> None:
    @app.get("/set")
    def put() -> str:
        session.update(user_id=7, id="mine", info="text", permanent="no")
        return ""

    @app.get("/")
    def page() -> str:
        return render_template_string(
            "[{{ session.user_id }}|{{ session.id }}|{{ session.info }}|{{ session['user_id'] }}|"
            "{{ session.get('id') }}|{{ session.items() | list | length }}|{{ session.gone }}|"
            "{{ 'id' in session }}|{{ session.permanent }}]"
        )

    client = app.test_client()
    # Without such keys templates reach what is the session's own; nothing is shown for nobody.
    shown = client.get("/").text.split("|")
    assert shown[0] == "["
    assert len(shown[1]) == 23
    assert shown[3:] == ["", "None", "0", "", "False", "False]"]
    client.get("/set")
    assert client.get("/").text == "[7|mine|text|7|mine|4||True|False]"


def test_python_code_finds_the_sessions_own_names(app: Flask) -> None:
    @app.get("/")
    def page() -> str:
        session["user_id"] = 7
        return str(current_session.user_id)

    assert app.test_client().get("/").text == "None"


def test_imported_templates_and_early_environments(world: World) -> None:
    for early in (False, True):
        app = Flask("early", static_folder=None)
        app.config.update(SECRET_KEY=SECRET, OPENCLAW={"STORE": "memory://"})
        if early:
            _ = app.jinja_env
        OpenClaw(app)
        from jinja2 import DictLoader

        app.jinja_loader = DictLoader({"m": "{% macro who() %}{{ session.user_id }}{% endmacro %}"})
        app.jinja_env.loader = app.jinja_loader

        @app.get("/")
        def page() -> str:
            session["user_id"] = 7
            return render_template_string("{% import 'm' as m %}{{ m.who() }}{{ session.user_id }}")

        assert app.test_client().get("/").text == "77"


def test_template_that_shows_the_session_to_nobody(world: World, app: Flask) -> None:
    with app.app_context():
        assert render_template_string("{{ session is defined }}") == "True"


# -- several applications


def test_applications_keep_to_themselves() -> None:
    sessions = OpenClaw()

    def create(name: str) -> Flask:
        app = Flask(name, static_folder=None)
        app.config.update(SECRET_KEY=SECRET, OPENCLAW={"STORE": "memory://"})
        sessions.init_app(app)
        app.add_url_rule("/", view_func=lambda: str(session.setdefault("app", name)))
        return app

    one, two = create("one"), create("two")
    client = Client(DispatcherMiddleware(one, {"/two": two}))
    assert client.get("/").text == "one"
    assert client.get("/two/").text == "two"
    for app in (one, two):
        with app.app_context():
            assert sessions.manager.stats().live == 1
    with pytest.raises(ConfigurationError, match="which application's sessions"):
        _ = sessions.manager


def test_applications_that_share_sessions() -> None:
    settings = SessionSettings.for_tests(identity_key="_user_id")
    apps = []
    for name in ("one", "two"):
        app = Flask(name, static_folder=None)
        OpenClaw(app, sessions=settings)
        app.add_url_rule("/", view_func=lambda: str(session.setdefault("n", 1)))
        apps.append(app)
    client = Client(DispatcherMiddleware(apps[0], {"/two": apps[1]}))
    client.get("/")
    client.get("/two/")
    assert SessionManager(settings).stats().live == 1


def test_factory_called_many_times_leaves_nothing_behind() -> None:
    sessions = OpenClaw()

    def create() -> weakref.ref[Flask]:
        app = Flask("factory", static_folder=None)
        app.config.update(SECRET_KEY=SECRET, OPENCLAW={"STORE": "memory://"})
        sessions.init_app(app)
        app.add_url_rule("/", view_func=lambda: str(session.setdefault("n", 1)))
        app.test_client().get("/")
        return weakref.ref(app)

    made = [create() for _ in range(5)]
    gc.collect()
    assert [each() for each in made] == [None] * 5


def test_manager_of_one_application(world: World) -> None:
    app = Flask("one", static_folder=None)
    app.config.update(SECRET_KEY=SECRET, OPENCLAW={"STORE": "memory://"})
    sessions = OpenClaw(app)
    app.add_url_rule("/", view_func=lambda: str(current_session.login("u1")))
    app.test_client().get("/")
    assert sessions.manager.revoke_user("u1") == 1


def test_twice_on_one_application_is_refused(app: Flask) -> None:
    with pytest.raises(ConfigurationError, match="already initialised for shop"):
        OpenClaw(app)
