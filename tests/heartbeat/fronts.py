"""Real proxies in front of a site: nginx, HAProxy, Apache, on the files of examples/proxies.

They end TLS for https://shop.example on a port of 127.0.0.1. A test adds lines to set one wrong.
This module is imported by the installer and needs nothing but the standard library and `tests`;
certificates are made with an extra of the package, when they are needed.
"""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import socket
import ssl
from functools import cache
from pathlib import Path
from typing import ClassVar

from tests.architecture import ROOT
from tests.fire.nginx import PACKAGE as NGINX_PACKAGE
from tests.server_engines import Engine

NAME, PACKAGE = "HAProxy", "haproxy"
HOST = "shop.example"
RECIPES = ROOT / "examples" / "proxies"

NGINX = """
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
    {around}
    {recipe}
}}
"""

APACHE = """
{modules}
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
Listen 127.0.0.1:{port}
<IfModule mpm_event_module>
    StartServers 1
    ServerLimit 1
    ThreadsPerChild 16
    MaxRequestWorkers 16
</IfModule>
CacheRoot {folder}
{recipe}
"""
MODULES = [
    "mpm_event",
    "authz_core",
    "headers",
    "rewrite",
    "ssl",
    "proxy",
    "proxy_http",
    "cache",
    "cache_disk",
]


class Front(Engine):
    """A proxy for https://shop.example, in front of one application.

    Args:
        upstream: the port the application listens on.
    """

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream

    def make_data(self, folder: Path) -> None:
        """Everything is written when it is started."""

    def url(self, port: int) -> str:
        return f"https://{HOST}:{port}"

    def ping(self, url: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        with socket.create_connection(address, 1) as wire, context.wrap_socket(wire):
            pass

    def written(self, folder: Path, name: str, text: str) -> str:
        """A file in the folder that the proxy's account can read; its path."""
        file = folder / name
        file.write_text(text)
        file.chmod(0o644)
        return str(file)

    def recipe(self, name: str, folder: Path, port: int) -> str:
        """A published configuration, with its addresses made ours."""
        text = (RECIPES / name).read_text()
        certificate, key = certificate_for(HOST)
        places = {
            "/etc/ssl/shop.example.pem": self.written(folder, "pem", certificate),
            "/etc/ssl/shop.example.key": self.written(folder, "key", key),
            "/etc/ssl/shop.example.both.pem": self.written(folder, "both", certificate + key),
            "127.0.0.1:8000": f"127.0.0.1:{self.upstream}",
            "listen 443 ": f"listen 127.0.0.1:{port} ",
            "bind :443 ": f"bind 127.0.0.1:{port} ",
            "<VirtualHost *:443>": f"<VirtualHost 127.0.0.1:{port}>",
        }
        for old, new in places.items():
            text = text.replace(old, new)
        return text


class Nginx(Front):
    """nginx as in examples/proxies/nginx.conf.

    Args:
        server: further lines for the `server` block.
        around: further lines for the `http` block around it.
        spared: with examples/proxies/nginx-heartbeat.conf.
    """

    name, variable = "nginx", "OPENCLAW_TEST_NGINX_URL"
    package, account = NGINX_PACKAGE, "www-data"
    programs = ("nginx",)

    def __init__(
        self, upstream: int, server: str = "", *, around: str = "", spared: bool = False
    ) -> None:
        super().__init__(upstream)
        self.server, self.around, self.spared = server, around, spared

    def command(self, folder: Path, port: int) -> list[str]:
        recipe = self.recipe("nginx.conf", folder, port)
        around, server = self.around, self.server
        if self.spared:
            around += "limit_req_zone $binary_remote_addr zone=heartbeat:1m rate=5r/s;"
            server += (RECIPES / "nginx-heartbeat.conf").read_text()
        at = recipe.index("    location / {")
        recipe = f"{recipe[:at]}\n{server}\n{recipe[at:]}"
        text = NGINX.format(folder=folder, around=around, recipe=recipe)
        config, log = self.written(folder, "nginx.conf", text), str(folder / "error.log")
        return [self.program("nginx"), "-p", str(folder), "-c", config, "-e", log]


class HAProxy(Front):
    """HAProxy as in examples/proxies/haproxy.cfg.

    Args:
        frontend: further lines for the frontend.
        backend: further lines for the backend.
        more: further sections.
    """

    name, variable = NAME, "OPENCLAW_TEST_HAPROXY_URL"
    package, account = PACKAGE, "haproxy"
    programs = ("haproxy",)

    def __init__(
        self, upstream: int, frontend: str = "", *, backend: str = "", more: str = ""
    ) -> None:
        super().__init__(upstream)
        self.frontend, self.backend, self.more = frontend, backend, more

    def command(self, folder: Path, port: int) -> list[str]:
        text = self.recipe("haproxy.cfg", folder, port)
        at = text.index("    default_backend")
        text = f"{text[:at]}\n{self.frontend}\n{text[at:]}\n{self.backend}\n{self.more}\n"
        return [self.program("haproxy"), "-db", "-f", self.written(folder, "haproxy.cfg", text)]


class Apache(Front):
    """Apache as in examples/proxies/apache.conf.

    Args:
        server: further lines for the `VirtualHost`, before everything is passed on.
    """

    name, variable = "Apache", "OPENCLAW_TEST_APACHE_URL"
    package, account = "apache2", "www-data"
    programs = ("apache2",)
    modules = Path("/usr/lib/apache2/modules")

    def __init__(self, upstream: int, server: str = "") -> None:
        super().__init__(upstream)
        self.server = server

    def command(self, folder: Path, port: int) -> list[str]:
        recipe = self.recipe("apache.conf", folder, port)
        at = recipe.index("    ProxyPass /")
        recipe = f"{recipe[:at]}\n{self.server}\n{recipe[at:]}"
        modules = "\n".join(
            f"LoadModule {name}_module {self.modules}/mod_{name}.so" for name in MODULES
        )
        text = APACHE.format(folder=folder, port=port, modules=modules, recipe=recipe)
        config = self.written(folder, "apache.conf", text)
        return [self.program("apache2"), "-D", "FOREGROUND", "-f", config]


FRONTS: dict[str, type[Front]] = {"nginx": Nginx, "haproxy": HAProxy, "apache": Apache}


def find_haproxy() -> str | None:
    """Return the program's path, or None where there is none."""
    return _find("haproxy")


def find_apache() -> str | None:
    """Return the program's path, or None where there is none."""
    return _find("apache2")


def _find(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join([*os.get_exec_path(), *Engine.places]))


@cache
def certificate_for(host: str) -> tuple[str, str]:
    """A certificate nobody vouches for and its key, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    return (
        made.public_bytes(pem).decode(),
        key.private_bytes(pem, form, serialization.NoEncryption()).decode(),
    )
