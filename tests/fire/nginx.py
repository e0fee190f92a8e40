"""The shared cache the tests look through: Debian's nginx, as the servers are run.

It listens on 127.0.0.1 only, under a temporary prefix, and as another account where we are root.
This module is imported by the installer and needs nothing but the standard library and `tests`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path
from typing import ClassVar

from tests.server_engines import Engine

NAME, PACKAGE = "nginx", "nginx"

CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=pages:1m inactive=10m;
    proxy_cache pages;
    proxy_cache_key $uri;
    add_header X-Cache $upstream_cache_status always;
    proxy_set_header Host $host;
    server {{
        listen 127.0.0.1:{port};
        location = /nginx-is-up {{ return 204; }}
        # Does as the headers say.
        location /polite/ {{ proxy_pass http://127.0.0.1:{upstream}/; }}
        # Keeps what nobody forbids to keep.
        location /greedy/ {{
            proxy_pass http://127.0.0.1:{upstream}/;
            proxy_cache_valid 200 10m;
        }}
        # The same, and a cookie in the answer does not stop it.
        location /rude/ {{
            proxy_pass http://127.0.0.1:{upstream}/;
            proxy_cache_valid 200 10m;
            proxy_ignore_headers Set-Cookie;
        }}
    }}
}}
"""


class Nginx(Engine):
    """A caching proxy in front of one application.

    Args:
        upstream: the port the application listens on.
    """

    name, variable = NAME, "OPENCLAW_TEST_NGINX_URL"
    package, account = PACKAGE, "www-data"
    programs = ("nginx",)
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream

    def make_data(self, folder: Path) -> None:
        """It makes its folders itself."""

    def command(self, folder: Path, port: int) -> list[str]:
        config = folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, port=port, upstream=self.upstream))
        config.chmod(0o644)
        log = str(folder / "error.log")
        return [self.program("nginx"), "-p", str(folder), "-c", str(config), "-e", log]

    def url(self, port: int) -> str:
        return f"http://127.0.0.1:{port}"

    def ping(self, url: str) -> None:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 1) as wire:
            wire.sendall(b"GET /nginx-is-up HTTP/1.0\r\n\r\n")
            if b" 204 " not in wire.recv(100):
                raise ConnectionError("no answer of ours")


def find_nginx() -> str | None:
    """Return the program's path, or None where there is none."""
    places = os.pathsep.join([*os.get_exec_path(), *Engine.places])
    return shutil.which("nginx", path=places)
