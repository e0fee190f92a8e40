"""One server process for the load tests: `python -m tests.fire.serve KIND STORE NAMESPACE KEY`.

Prints its port when it listens, and serves until its standard input ends.
"""

from __future__ import annotations

import sys

from .browsing import asgi_server, wsgi_server
from .pages import flask_app, starlette_app
from .places import Place


def main(kind: str, store: str, namespace: str, key: str) -> None:
    settings = Place("", store, namespace).settings(secret_key=key)
    if kind == "flask":
        serving = wsgi_server(flask_app(settings))
    else:
        serving = asgi_server(starlette_app(settings))
    with serving as port:
        print(port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
