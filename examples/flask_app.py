"""A Flask application with sessions that can be ended: `python examples/flask_app.py`.

Sign in at http://127.0.0.1:5000, stop the program, start it again: still signed in. Sign in with
a second browser and end the first one from there. `test_flask_app.py`, beside this file, is how
such an application is tested.
"""

import os
import secrets
from pathlib import Path
from typing import Any

from flask import Flask, flash, redirect, render_template_string, request, url_for
from werkzeug.wrappers import Response

from openclaw_middleware.adapters.flask import OpenClaw, current_session, get_manager

HERE = Path(__file__).parent
sessions = OpenClaw()

PAGE = """
<!doctype html><title>Notes</title>
{% for message in get_flashed_messages() %}<p><em>{{ message }}</em></p>{% endfor %}
{% if user %}
  <p>Signed in as {{ user }}.</p>
  <form method=post action="{{ url_for('note') }}"><input name=text><button>Keep it</button></form>
  <ul>{% for text in session.notes %}<li>{{ text }}</li>{% endfor %}</ul>
  <h2>Signed in here</h2>
  <ul>{% for each in devices %}
    <li>{{ each.policy }}, {{ each.idle_left|int // 60 }} minutes left
    {% if each.current_one %}(this one){% else %}
    <form method=post action="{{ url_for('end', session_id=each.id) }}"><button>End</button></form>
    {% endif %}</li>
  {% endfor %}</ul>
  <form method=post action="{{ url_for('logout') }}"><button>Sign out</button>
  <button name=everywhere value=1>Sign out everywhere</button></form>
{% else %}
  <form method=post action="{{ url_for('login') }}">
  <input name=user placeholder="any name" required><button>Sign in</button></form>
{% endif %}
"""


def create_app(**config: Any) -> Flask:
    """The application; `config` wins over what is set here."""
    app = Flask(__name__)
    app.config.from_mapping(
        OPENCLAW={"STORE": f"sqlite:///{HERE / 'flask_sessions.db'}", "IDLE_TIMEOUT_MINUTES": 60}
    )
    app.config.update(config)
    if not app.config["SECRET_KEY"]:
        app.config["SECRET_KEY"] = kept_key(HERE / "flask_secret.key")
    sessions.init_app(app)
    add_pages(app)
    return app


def add_pages(app: Flask) -> None:
    @app.get("/")
    def index() -> str:
        user = current_session.user_id
        devices: list[dict[str, Any]] = []
        if user is not None:
            for each in get_manager().sessions_of(user).items:
                current = each.id == current_session.id
                devices.append(
                    {
                        "id": each.id,
                        "policy": each.policy,
                        "idle_left": each.idle_left,
                        "current_one": current,
                    }
                )
        return render_template_string(PAGE, user=user, devices=devices)

    @app.post("/login")
    def login() -> Response:
        # A real application checks a password here.
        current_session.login(request.form["user"])
        return redirect(url_for("index"))

    @app.post("/note")
    def note() -> Response:
        # Nested changes are noticed, and two tabs at once lose nothing.
        current_session.setdefault("notes", []).append(request.form["text"])
        return redirect(url_for("index"))

    @app.post("/end/<session_id>")
    def end(session_id: str) -> Response:
        current_session.end_other(session_id)
        return redirect(url_for("index"))

    @app.post("/logout")
    def logout() -> Response:
        if "everywhere" in request.form:
            current_session.logout_everywhere()
        else:
            current_session.logout()
        flash("Good-bye.")
        return redirect(url_for("index"))


def kept_key(path: Path) -> str:
    """A secret key that survives restarts; in production it comes from the environment."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48))
    return path.read_text()


if __name__ == "__main__":
    create_app().run(port=int(os.environ.get("PORT", "5000")))
