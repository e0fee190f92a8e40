"""`python -m examples.shared_login [--port 8001] [--store URL] [--data FOLDER]`: serve the three.

The sessions are in Redis at 127.0.0.1:6379 unless `--store` says otherwise, such as
`--store sqlite:///shared.db`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

import uvicorn

HOST = "127.0.0.1"


def main() -> int:
    """Serve until Ctrl-C; the exit code is 1 when that could not begin."""
    parser = argparse.ArgumentParser(prog="python -m examples.shared_login")
    parser.add_argument("--port", type=int, default=8001, help="port on 127.0.0.1 [8001]")
    parser.add_argument("--store", help="URL of the store [redis://127.0.0.1:6379/0]")
    parser.add_argument("--data", type=Path, help="folder for users and keys [.cache/shared_login]")
    arguments = parser.parse_args()

    # All three read the environment, so one variable tells all three.
    if arguments.store:
        os.environ["OPENCLAW_SESSION__STORE"] = arguments.store
    if arguments.data:
        os.environ["SHARED_LOGIN_DATA"] = str(arguments.data)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.shared_login.django_site.settings")
    return serve(arguments.port)


def serve(port: int) -> int:
    """Look whether the store is there, then start."""
    import django

    from openclaw_middleware import ConfigurationError, StoreError

    django.setup()
    from openclaw_middleware.adapters.django import get_manager

    from . import front, people

    try:
        manager = get_manager()
        manager.create_tables()
        manager.get("nobody")
    except ConfigurationError as error:
        print(f"The settings are wrong: {error}", file=sys.stderr)
        return 1
    except StoreError as error:
        print(
            f"The store does not answer: {error}\n"
            "Start Redis there (redis-server), or name another store with --store, such as\n"
            "    --store redis://HOST:PORT/0\n"
            "    --store sqlite:///shared.db   (a file, nothing to start)",
            file=sys.stderr,
        )
        return 1
    people.invite()
    app = front.create_app()
    config = uvicorn.Config(app, HOST, port, log_level="warning", access_log=False)
    listener = config.bind_socket()
    listener.listen(128)
    port = listener.getsockname()[1]
    print(f"Three frameworks and one session are at http://{HOST}:{port}  (Ctrl-C ends it)")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
