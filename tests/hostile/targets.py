"""One function per way in: each takes any bytes and raises if a promise is broken.

The bytes are what an attacker chooses. No target waits, writes a file or reaches a server.
"""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from openclaw_middleware import ConfigurationError, SessionSettings
from openclaw_middleware.client import LONGEST_AGENT, ClientInfo
from openclaw_middleware.codecs.compression import ZlibCompressor, ZstdCompressor
from openclaw_middleware.codecs.json import JsonCodec
from openclaw_middleware.codecs.msgpack import MsgpackCodec
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.record import Record
from openclaw_middleware.core.token import parse, user_tag
from openclaw_middleware.errors import CodecError
from openclaw_middleware.runtime import Runtime
from openclaw_middleware.sign_in import sign_in_address
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.url import open_store
from openclaw_middleware.testing import Counting, wrap
from openclaw_middleware.wsgi import SessionMiddleware

Target = Callable[[bytes], None]

KEY = "5pM0vZk3rXw8bQeY1nTgJ7uLdHsCfA2iOo9RaNqEyVtKxWj"
CIPHER = "jZ8v3rXw5bQeY1nTgJ7uLdHsCfA2iOo9RaNqEyVtKx0"
MARK = "hunter2Zq7secretmark"


class Site:
    """A deployment on memory that counts the calls to its store and hears its events."""

    def __init__(self, **settings: Any) -> None:
        self.settings = SessionSettings.for_tests(**{"secret_key": KEY, **settings})
        self.runtime = Runtime(self.settings)
        self.heard: list[ev.Event] = []
        self.runtime.desk.events.add([self.heard.append])
        self.store: Any = self.runtime.blocking.store
        self.trips = Counting()
        self.runtime.blocking.store = wrap(self.store, self.trips)
        self.name = self.runtime.desk.cookie.name

    def visit(self, cookies: str) -> Any:
        """A whole request that reads the session; the session."""
        runtime = self.runtime
        exchange = runtime.exchange(cookies, "/", "GET", lambda name: None)
        assert exchange is not None
        session = runtime.session(exchange, blocking=True)
        session.to_dict()
        runtime.blocking.commit(exchange)
        exchange.finish_headers([])
        return session


SITE = Site(previous_cookies=[{"name": "former"}])


def cookie(data: bytes) -> None:
    """A `Cookie` header nobody of ours has signed."""
    header = data.decode("latin-1")
    SITE.trips.reset()
    SITE.heard.clear()
    session = SITE.visit(header)
    assert session.user_id is None
    assert not session.to_dict()
    assert SITE.trips.total == 0
    assert not SITE.store.state.records
    assert all(isinstance(event, ev.CookieRejected) for event in SITE.heard)
    assert len(SITE.heard) <= 1


def cookie_value(data: bytes) -> None:
    """The same behind our name, so that the signature is what is looked at."""
    value = data.decode("latin-1")
    cookie(f"{SITE.name}={value}".encode("latin-1"))
    cookie(f'a=b; {SITE.name}="{value}"; former={value}'.encode("latin-1"))


def token(data: bytes) -> None:
    """The text of a token, unsigned and signed."""
    text = data.decode("utf-8", "replace")
    signer = SITE.runtime.desk.signer
    assert signer.verify(text) is None
    found = parse(text)
    if found is not None:
        assert found.text == text
        assert signer.verify(signer.sign(found)) == found


class Watched:
    """A codec that notes whether it was ever asked to read."""

    name, code = "watched", MsgpackCodec.code

    def __init__(self) -> None:
        self.read = 0
        self._codec = MsgpackCodec()

    def encode(self, value: Any) -> bytes:
        return self._codec.encode(value)

    def decode(self, data: bytes) -> Any:
        self.read += 1
        return self._codec.decode(data)


def record_of(user: str | None = "ada") -> Record:
    """A record as a store would hold it, not sealed yet."""
    tag = "" if user is None else user_tag(b"k", user)
    now = 1_700_000_000.0
    return Record(
        id=f"{tag}.{'r' * 22}",
        secret_hash=b"h" * 32,
        version=1,
        write_id="w",
        created_at=now,
        authenticated_at=None if user is None else now,
        valid_from=now,
        last_active_at=now,
        idle_timeout=1800.0,
        absolute_timeout=28800.0,
        policy="default",
        user_id=user,
        payload=b"",
    )


def _sealers() -> list[tuple[Any, Watched, Record]]:
    from openclaw_middleware.codecs.encryption import AesGcmRing
    from openclaw_middleware.core.envelope import Sealer

    made = []
    for cipher in (None, AesGcmRing([CIPHER], random=bytes)):
        for over in (None, 0):
            codec = Watched()
            sealer = Sealer(
                codec=codec,
                mac_keys=[b"m" * 32],
                cipher=cipher,
                compress_over=over,
                compressor=None if over is None else ZlibCompressor(),
                decompressors=[ZlibCompressor(), ZstdCompressor()],
            )
            record = record_of()
            payload = sealer.seal(record, [{"note": MARK * 5}, {}])
            made.append((sealer, codec, replace(record, payload=payload)))
    return made


SEALERS = _sealers()
GENUINE = frozenset(record.payload for _, _, record in SEALERS)


def envelope(data: bytes) -> None:
    """A payload somebody wrote into the store: refused, and never given to a codec."""
    if data in GENUINE:
        return
    for sealer, codec, record in SEALERS:
        _refused(sealer, codec, replace(record, payload=data))


def altered(data: bytes) -> None:
    """A genuine payload with some bytes exchanged, cut or prolonged."""
    for sealer, codec, record in SEALERS:
        payload = bytearray(record.payload)
        for at, value in struct.iter_unpack(">HB", data[: len(data) // 3 * 3]):
            if at == 0xFFFF:
                del payload[value:]
            elif at == 0xFFFE:
                payload += bytes([value])
            elif payload:
                payload[at % len(payload)] = value
        if bytes(payload) not in GENUINE:
            _refused(sealer, codec, replace(record, payload=bytes(payload)))


def _refused(sealer: Any, codec: Watched, record: Record) -> None:
    codec.read = 0
    error = _error_of(lambda: sealer.unseal(record).decode(), CodecError)
    assert error is not None, "a forged envelope was opened"
    assert MARK not in str(error)
    assert codec.read == 0


def _error_of(work: Callable[[], Any], *kinds: type[Exception]) -> Exception | None:
    """The error of these kinds that came of it, None when all went well; others are raised."""
    try:
        work()
    except kinds as error:
        return error
    return None


def content(data: bytes) -> None:
    """What a codec or compressor is given by somebody who has the keys: still only CodecError."""
    for codec in (MsgpackCodec(), JsonCodec()):
        _error_of(lambda codec=codec: codec.decode(data), CodecError)
    for compressor in (ZlibCompressor(), ZstdCompressor()):
        try:
            plain = compressor.decompress(data, 1000)
        except CodecError:
            continue
        assert len(plain) <= 1000


NAMES = sorted(SessionSettings.model_fields)


def setting(data: bytes) -> None:
    """A setting from the environment: good, or a ConfigurationError that shows no secret."""
    if not data:
        return
    name = NAMES[data[0] % len(NAMES)]
    text = data[1:].decode("utf-8", "surrogateescape").replace("\0", "")
    secret = f"{MARK}-{KEY}"
    variables = {
        "OPENCLAW_SESSION__SECRET_KEY": secret,
        "OPENCLAW_SESSION__STORE": "memory://",
        f"OPENCLAW_SESSION__{name.upper()}": text,
    }
    made: list[Any] = []
    error = _error_of(
        lambda: made.append(SessionSettings.load(environ=variables)),
        ConfigurationError,
    )
    assert MARK not in f"{error} {error!r} {made}"


SCHEMES = ("redis", "rediss", "unix", "sqlite", "postgresql", "postgres", "mysql", "mariadb",
           "memory", "postgresql+psycopg", "x", "")  # fmt: skip


def url(data: bytes) -> None:
    """A store URL with a password: a store that is not opened yet, or ConfigurationError."""
    if not data:
        return
    text = data[1:].decode("utf-8", "replace")
    scheme = SCHEMES[data[0] % len(SCHEMES)]
    for source in (text, f"{scheme}://{text}", f"{scheme}://user:{MARK}@{text}"):
        made: list[Any] = []
        error = _error_of(
            lambda: made.append(SessionSettings(secret_key=KEY, store=source)),  # noqa: B023
            ConfigurationError,
        )
        assert MARK not in f"{error} {error!r} {made}"
        if error is None:
            error = _error_of(
                lambda: open_store(source, StoreOptions(), "sync"),  # noqa: B023
                ConfigurationError,
            )
            assert MARK not in f"{error} {error!r}"


HEART = Site(enable_heartbeat=True, trusted_proxies=["10.0.0.0/8"])
PULSE = SessionMiddleware(lambda environ, start_response: [b"page"], HEART.runtime)
METHODS = ("POST", "GET", "HEAD", "OPTIONS")
NAMES_BELOW = ("heartbeat", "status", "logout", "lost", "client.js", "")
VARIABLES = ("QUERY_STRING", "CONTENT_LENGTH", "HTTP_ORIGIN", "HTTP_HOST", "HTTP_SEC_FETCH_SITE",
             "HTTP_X_FORWARDED_HOST", "HTTP_COOKIE", "PATH_INFO")  # fmt: skip


def heartbeat(data: bytes) -> None:
    """A request to the heartbeat by somebody without a session: an answer, and nothing is left.

    Method and name by two bytes, then lines: the variables above, and the body.
    """
    lines = data[2:].split(b"\n", len(VARIABLES))
    body = lines[len(VARIABLES)] if len(lines) > len(VARIABLES) else b""
    name = NAMES_BELOW[data[1] % len(NAMES_BELOW)] if len(data) > 1 else ""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": METHODS[data[0] % len(METHODS)] if data else "POST",
        "HTTP_X_SESSION_CLIENT": "1",
        "REMOTE_ADDR": "10.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    given = zip(VARIABLES, lines, strict=False)
    environ |= {key: line.decode("latin-1") for key, line in given if line}
    environ["PATH_INFO"] = f"/_session/{name}" + environ.get("PATH_INFO", "")
    HEART.trips.reset()
    heads: list[Any] = []
    said = b"".join(PULSE(environ, lambda *head: heads.append(head)))  # type: ignore[arg-type, return-value]
    ((status, headers),) = heads
    assert status[:3] in ("200", "204", "304", "400", "401", "403", "404", "405", "413"), status
    assert HEART.trips.total == 0
    assert not HEART.store.state.records
    assert all(value.isprintable() for pair in headers for value in pair)
    kind = dict(headers).get("Content-Type")
    if said and kind == "application/json":
        assert isinstance(json.loads(said), dict)


CLIENT = ClientInfo("full", ["127.0.0.1", "10.0.0.0/8", "::1"])
ADDRESS = re.compile(r"[0-9a-f.:]{2,45}", re.ASCII)


def visitor(data: bytes) -> None:
    """Where somebody says they come from, and where they are sent: an address of this site."""
    peer, forwarded, agent, path, query, *_ = [*data.decode("latin-1").split("\n"), *[""] * 5]
    sent = {"x-forwarded-for": forwarded, "user-agent": agent, "accept": "text/html"}
    for here in (peer, "127.0.0.1", "::ffff:10.1.2.3"):
        known = CLIENT.read(sent.get, here) or {}
        assert len(known.get("user_agent", "")) <= LONGEST_AGENT
        assert ADDRESS.fullmatch(known.get("address", "::")), known
    found = sign_in_address("/login", path, query, "GET", sent.get)
    if found is not None:
        (ahead,) = parse_qs(urlsplit(found).query)["next"]
        for base in ("https://site.example/login", "https://site.example/a/b"):
            assert urlsplit(urljoin(base, ahead)).netloc == "site.example", ahead
        assert ahead[:1] == "/"
        assert ahead[1:2] not in ("/", "\\")
        assert found.isprintable()
        assert ahead.isascii()


TARGETS: dict[str, Target] = {
    each.__name__: each
    for each in (
        *(cookie, cookie_value, token, envelope, altered, content, setting, url),
        *(heartbeat, visitor),
    )
}
