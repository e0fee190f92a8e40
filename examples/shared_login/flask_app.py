"""The Flask application. Who is signed in is Flask-Login's business, used as its manual says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, jsonify, redirect, render_template, request
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.wrappers import Response

from openclaw_middleware.adapters.flask import OpenClaw, current_session

from . import people
from .settings import COOKIE, SHARED

sessions = OpenClaw()


class Visitor(UserMixin):
    """What Flask-Login wants of a user."""

    def __init__(self, person: people.Person) -> None:
        self.id = person.id
        self.name = person.name


def load_visitor(user_id: str) -> Visitor | None:
    person = people.find(user_id)
    return None if person is None else Visitor(person)


def create_app() -> Flask:
    """The application; it knows its own paths only, the prefix is the front's."""
    app = Flask(__name__, template_folder=Path(__file__).parent / "templates")
    app.config["SESSION_COOKIE_NAME"] = COOKIE
    app.config["OPENCLAW"] = SHARED
    sessions.init_app(app)
    LoginManager(app).user_loader(load_visitor)
    add_pages(app)
    return app


def add_pages(app: Flask) -> None:
    def card(wrong: bool = False) -> str:
        return render_template("card.html", wrong=wrong, **about())

    @app.get("/")
    def index() -> str:
        return card()

    @app.get("/me")
    def me() -> Response:
        return jsonify(about())

    @app.post("/sign-in")
    def sign_in() -> Response | tuple[str, int]:
        person = people.check(request.form["username"], request.form["password"])
        if person is None:
            return card(wrong=True), 401
        login_user(Visitor(person))
        return redirect("/", 303)

    @app.post("/sign-out")
    def sign_out() -> Response:
        logout_user()
        return redirect("/", 303)

    @app.post("/visit")
    def visit() -> Response:
        current_session.apply("visits", lambda visits: visits + 1, default=0)
        return redirect("/", 303)


def about() -> dict[str, Any]:
    """What this application sees of the visitor."""
    signed_in = current_user.is_authenticated
    return {
        "by": "Flask",
        "prefix": "/flask",
        "user_id": current_user.id if signed_in else None,
        "name": current_user.name if signed_in else None,
        "visits": current_session.get("visits", 0),
    }
