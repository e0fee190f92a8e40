"""`python -m examples.demo [--port 8000] [--data FOLDER]`: serve the demo until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import socket
import sys
from pathlib import Path

import uvicorn

from .app import build
from .place import DEFAULT

HOST = "127.0.0.1"


def main() -> int:
    """Serve until Ctrl-C; the exit code is 1 when that could not begin."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1 [8000]")
    parser.add_argument(
        "--data", type=Path, default=DEFAULT, help=f"folder that survives restarts [{DEFAULT}]"
    )
    arguments = parser.parse_args()
    try:
        listener = listening(arguments.port)
    except OSError as error:
        print(
            f"Port {arguments.port} cannot be used ({error.strerror}). "
            f"Another demo may be running; try: make demo PORT={arguments.port + 1}",
            file=sys.stderr,
        )
        return 1
    app = build(arguments.data)
    port = listener.getsockname()[1]
    print(f"The demo is at http://{HOST}:{port}  (sessions in {arguments.data}/, Ctrl-C ends it)")
    sys.stdout.flush()
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    print("\nThe demo has ended. Whoever was signed in still is when it starts again.")
    return 0


def listening(port: int) -> socket.socket:
    """A socket on the port; raises OSError when another program has it."""
    listener = socket.socket()
    # A restart must not wait for connections of the last run to be forgotten.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener


if __name__ == "__main__":
    sys.exit(main())
