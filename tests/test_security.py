"""What docs/security.md and docs/threat-model.md say, tried out: by whoever reads or writes the
store, holds a key, sends what is not ours, or looks into logs and error reports."""

from __future__ import annotations

import ast
import hashlib
import hmac
import itertools
import logging
import pickle
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from itsdangerous import Signer, TimestampSigner, URLSafeTimedSerializer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from openclaw_middleware import (
    ConfigurationError,
    EndReason,
    LoginRefused,
    Policy,
    ReauthenticationRequired,
    SessionManager,
    SessionSettings,
    StoreUnavailable,
)
from openclaw_middleware.adapters.starlette import SessionMiddleware, get_session
from openclaw_middleware.answers import answer_for
from openclaw_middleware.codecs.encryption import AesGcmRing
from openclaw_middleware.config_checks import TOKEN_BYTES
from openclaw_middleware.core import events as ev
from openclaw_middleware.core.cookies import MAX_COOKIE
from openclaw_middleware.core.desk import Desk
from openclaw_middleware.core.policy import PRESETS
from openclaw_middleware.core.record import Record
from openclaw_middleware.core.request import RequestInfo
from openclaw_middleware.core.token import Token, parse, user_tag
from openclaw_middleware.runtime import Runtime, make_desk
from openclaw_middleware.signing import SALT, TokenSigner
from tests.architecture import imports_of, modules
from tests.core.lab import Browser, Lab

SECRET = "hW3vQx9Kp2Lm7Zt5Rb8Nc4Yd6Jf1Gs0Ua-security"
MINUTE, HOUR, DAY = 60, 3600, 86400


def token_of(lab: Lab, browser: Browser) -> Token:
    """What the browser's cookie holds."""
    assert browser.cookie is not None
    found = lab.desk.signer.verify(browser.cookie)
    assert found is not None
    return found


def record_of(lab: Lab, browser: Browser) -> Record:
    """The stored record behind the browser's cookie."""
    return lab.store.state.records[token_of(lab, browser).id]  # type: ignore[attr-defined]


def put(lab: Lab, record: Record) -> None:
    """Write to the store past the middleware."""
    lab.store.state.records[record.id] = record  # type: ignore[attr-defined]


# -- randomness and keys ------------------------------------------------------------------------


def test_secrets_are_32_bytes_of_the_systems_randomness() -> None:
    drawn: list[int] = []

    def random(count: int) -> bytes:
        drawn.append(count)
        return secrets.token_bytes(count)

    desk = make_desk(SessionSettings.for_tests(), random=random)
    desk.mint("ada")
    assert drawn == [16, 32]
    assert make_desk(SessionSettings.for_tests()).random is secrets.token_bytes
    assert Desk.__dataclass_fields__["random"].default is secrets.token_bytes
    assert AesGcmRing([b"k" * 32])._random is secrets.token_bytes


def test_tokens_never_repeat() -> None:
    desk = make_desk(SessionSettings.for_tests())
    tokens = [desk.mint(None) for _ in range(20_000)]
    assert len({token.secret for token in tokens}) == len({t.id for t in tokens}) == len(tokens)


def test_no_weak_source_of_randomness_is_imported() -> None:
    for path in modules():
        for found in imports_of(path):
            if found.library == "uuid":
                assert found.module == "uuid.UUID", path  # a type the codecs keep
            assert found.library != "random", path


def test_keys_are_separated_by_purpose() -> None:
    settings = SessionSettings.for_tests(secret_key=SECRET, user_tag_key=SECRET)
    desk = make_desk(settings)
    sealer: Any = desk.sealer
    signer: Any = desk.signer
    keys = [
        sealer._mac_key,
        desk.rotation_keys[0],
        desk.user_tag_key,
        signer._signer.derive_key(SECRET.encode()),
    ]
    assert len(set(keys)) == 4
    assert all(len(key) == 32 for key in keys)
    assert SECRET.encode() not in keys


def test_encryption_does_not_hang_on_the_secret_key() -> None:
    """Whoever learns `secret_key` cannot read an encrypted store with it."""
    lab = Lab(secret_key=SECRET, encryption_keys=[secrets.token_urlsafe(32)])
    browser = lab.browser()
    browser.visit(note="quince")
    stolen = make_desk(
        SessionSettings.for_tests(secret_key=SECRET, encryption_keys=[secrets.token_urlsafe(32)])
    )
    with pytest.raises(Exception, match="unknown key"):
        stolen.sealer.unseal(record_of(lab, browser))


# -- tokens that are not ours -------------------------------------------------------------------


def foreign_tokens(text: str) -> Iterator[tuple[str, str]]:
    """The same text, signed with our secret in every way but ours."""
    yield "Flask's salt", URLSafeTimedSerializer(SECRET, salt="cookie-session").dumps(text)
    yield "Starlette's signer", TimestampSigner(SECRET).sign(text).decode()
    yield "another salt", Signer(SECRET).sign(text).decode()
    ours: dict[str, Any] = {"salt": SALT, "key_derivation": "hmac"}
    yield "SHA-1", Signer(SECRET, **ours, digest_method=hashlib.sha1).sign(text).decode()
    yield "MD5", Signer(SECRET, **ours, digest_method=hashlib.md5).sign(text).decode()
    yield "no signature", text
    yield "an empty signature", f"{text}."
    yield "an algorithm by name", f"{text}.none"
    yield (
        "a later format",
        Signer(SECRET, salt=SALT[:-1] + b"2", digest_method=hashlib.sha256).sign(text).decode(),
    )


def test_only_our_own_signature_counts() -> None:
    """Salt, key derivation and algorithm are fixed; nothing in the cookie chooses them."""
    lab = Lab(secret_key=SECRET)
    browser = lab.browser()
    browser.visit(a=1)
    text = token_of(lab, browser).text
    for how, value in foreign_tokens(text):
        lab.trips.reset()
        assert Browser(lab, value).data() == {}, how
        assert lab.trips.total == 0, how
    own = Signer(SECRET, salt=SALT, key_derivation="hmac", digest_method=hashlib.sha256)
    assert Browser(lab, own.sign(text).decode()).data() == {"a": 1}


def test_the_secret_key_alone_opens_nothing() -> None:
    """Whoever can sign still has to know the secret, which is random and stored as a hash."""
    lab = Lab(secret_key=SECRET)
    browser = lab.browser()
    session_id = browser.sign_in("ada")
    forged = TokenSigner([SECRET]).sign(Token(session_id, 0, secrets.token_urlsafe(32)))
    assert Browser(lab, forged).user() is None
    hash_as_secret = record_of(lab, browser).secret_hash
    guess = Token(session_id, 0, hashlib.sha256(hash_as_secret).hexdigest()[:43])
    assert Browser(lab, TokenSigner([SECRET]).sign(guess)).user() is None
    assert browser.user() == "ada"


def test_a_new_secret_key_without_fallback_signs_everybody_out() -> None:
    lab = Lab(secret_key=SECRET)
    browser = lab.browser()
    browser.sign_in("ada")
    other = Lab(store=lab.store, secret_key=SECRET[::-1])
    assert Browser(other, browser.cookie).user() is None
    assert other.trips.total == 0
    kept = Lab(store=lab.store, secret_key=SECRET[::-1], secret_key_fallbacks=[SECRET])
    assert Browser(kept, browser.cookie).user() == "ada"


@pytest.mark.parametrize("weak", ["", "short", "x" * 31])
def test_short_keys_are_refused(weak: str) -> None:
    for name in ("secret_key", "user_tag_key"):
        with pytest.raises(ConfigurationError, match=name):
            SessionSettings.for_tests(**{name: weak})
    with pytest.raises(ConfigurationError, match="secret_key_fallbacks"):
        SessionSettings.for_tests(secret_key_fallbacks=[weak])


def test_every_decision_rests_on_a_constant_time_comparison(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With `hmac.compare_digest` always saying no, nothing genuine is accepted any more."""
    lab = Lab()
    browser = lab.browser()
    browser.visit(a=1)
    value, record, token = browser.cookie, record_of(lab, browser), token_of(lab, browser)
    from openclaw_middleware.core.verdict import Standing, judge

    def standing() -> Standing:
        return judge(token, record, 0.0, lab.desk.rules, lab.desk.rotation_keys).standing

    assert standing() is Standing.CURRENT
    with monkeypatch.context() as patch:
        patch.setattr(hmac, "compare_digest", lambda a, b: False)
        assert standing() is Standing.UNKNOWN
        assert lab.desk.signer.verify(str(value)) is None
        with pytest.raises(Exception, match="altered"):
            lab.desk.sealer.unseal(record)
    assert lab.desk.signer.verify(str(value)) is not None


def test_nothing_stored_can_run_code() -> None:
    """No module imports an unsafe decoder, and none evaluates text."""
    unsafe = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}
    calls = {"eval", "exec", "compile", "__import__"}
    for path in modules():
        assert unsafe.isdisjoint(found.library for found in imports_of(path)), path
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in calls, f"{path}:{node.lineno}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                unsafe_yaml = node.value.id == "yaml" and node.attr in {
                    "load_all", "unsafe_load", "full_load", "Loader", "UnsafeLoader", "FullLoader"
                }  # fmt: skip
                assert not unsafe_yaml, f"{path}:{node.lineno}"


# -- the cookie ---------------------------------------------------------------------------------

COOKIE_SETTINGS = {
    "cookie_name": [None, "sid", "__Secure-sid", "__Host-sid"],
    "cookie_secure": [True, False],
    "cookie_samesite": ["lax", "strict", "none"],
    "cookie_path": ["/", "/app"],
    "cookie_domain": [None, "example.com"],
    "cookie_partitioned": [False, True],
}


def attributes(line: str) -> tuple[str, str, dict[str, str | bool]]:
    """Name, value and attributes as RFC 6265 section 5.2 reads them."""
    pair, *rest = line.split(";")
    name, _, value = pair.partition("=")
    found: dict[str, str | bool] = {}
    for part in rest:
        key, equals, content = part.strip().partition("=")
        found[key.lower()] = content if equals else True
    return name, value, found


def storable(name: str, value: str, found: dict[str, str | bool]) -> bool:
    """Whether a browser keeps such a cookie (RFC 6265bis, section 5.7)."""
    secure = "secure" in found
    lowered = name.lower()
    if lowered.startswith("__host-") and not (
        secure and found.get("path") == "/" and "domain" not in found
    ):
        return False
    if lowered.startswith("__secure-") and not secure:
        return False
    if (found.get("samesite") == "None" or "partitioned" in found) and not secure:
        return False
    return len(name) + len(value) <= MAX_COOKIE


def combinations() -> Iterator[dict[str, Any]]:
    for values in itertools.product(*COOKIE_SETTINGS.values()):
        yield dict(zip(COOKIE_SETTINGS, values, strict=True))


def test_every_accepted_cookie_is_one_a_browser_keeps_and_deletes() -> None:
    accepted = refused = 0
    for chosen in combinations():
        try:
            spec = SessionSettings.for_tests(**chosen).cookie()
        except ConfigurationError:
            refused += 1
            continue
        accepted += 1
        name, value, found = attributes(spec.set("t" * TOKEN_BYTES, 60))
        assert storable(name, value, found), chosen
        assert "httponly" in found, chosen
        assert str(found["samesite"]).lower() == chosen["cookie_samesite"], chosen
        gone, empty, deleting = attributes(spec.delete())
        assert (gone, empty) == (name, ""), chosen
        for lifetime in ("max-age", "expires"):
            found.pop(lifetime, None)
            deleting.pop(lifetime, None)
        assert deleting == found, chosen
    assert accepted > 50
    assert refused > 50


def test_the_default_cookie() -> None:
    line = SessionSettings(secret_key=SECRET, store="memory://").cookie().set("t")
    assert line == "__Host-session=t; HttpOnly; Path=/; SameSite=Lax; Secure"


def test_a_cookie_for_several_hosts_has_a_prefix_only_when_it_is_named_so() -> None:
    """A gap against ASVS 3.3.1: with a Domain or a path the default name has no prefix."""
    shared = {"secret_key": SECRET, "store": "memory://", "cookie_domain": "example.com"}
    assert SessionSettings(**shared).cookie().name == "session"
    named = SessionSettings(**shared, cookie_name="__Secure-session")
    assert named.cookie().name == "__Secure-session"


def test_the_longest_token_fits() -> None:
    longest = Token(f"{'t' * 16}.{'r' * 22}", 999_999_999, "s" * 43)
    assert parse(longest.text) == longest
    assert len(TokenSigner([SECRET]).sign(longest)) <= TOKEN_BYTES
    name = "n" * 3800
    with pytest.raises(ConfigurationError, match="4096"):
        SessionSettings.for_tests(cookie_name=name + "n" * 200)
    assert len(SessionSettings.for_tests(cookie_name=name).cookie().set("t" * TOKEN_BYTES)) <= 4096


# -- one application, seen from outside ---------------------------------------------------------


async def whoami(request: Request) -> JSONResponse:
    session = get_session(request)
    return JSONResponse([session.user_id, session.to_dict()])


async def sign_in(request: Request) -> Response:
    get_session(request).login("ada")
    get_session(request)["note"] = "quince"
    return Response("in")


async def sign_out(request: Request) -> Response:
    get_session(request).logout()
    return Response("out")


async def new_id(request: Request) -> Response:
    get_session(request).regenerate()
    return Response("new")


async def untouched(request: Request) -> Response:
    return Response("public")


ROUTES = [
    Route("/", whoami, methods=["GET", "POST"]),
    Route("/in", sign_in),
    Route("/out", sign_out),
    Route("/new", new_id),
    Route("/public", untouched),
]


def site(settings: SessionSettings) -> TestClient:
    app = Starlette(routes=ROUTES)
    app.add_middleware(SessionMiddleware, sessions=settings)
    return TestClient(app, base_url="https://testserver")


def test_a_token_counts_in_the_cookie_header_alone() -> None:
    settings = SessionSettings.for_tests()
    client = site(settings)
    client.get("/in")
    token = client.cookies["session"]
    stranger = site(settings)
    for asked in (
        stranger.get("/", params={"session": token, "token": token}),
        stranger.post("/", data={"session": token}),
        stranger.post("/", json={"session": token}),
        stranger.get("/", headers={"Authorization": f"Bearer {token}"}),
        stranger.get("/", headers={"X-Session": token, "X-Session-Token": token}),
        stranger.get("/", headers={"Cookie": f"other={token}"}),
    ):
        assert asked.json() == [None, {}]
        assert asked.headers.get_list("set-cookie") == []
    assert stranger.get("/", headers={"Cookie": f"session={token}"}).json()[0] == "ada"


def test_no_token_leaves_but_in_set_cookie(caplog: pytest.LogCaptureFixture, tmp_path: Any) -> None:
    """Not in bodies, URLs, other headers, logs, events, error reports or the store."""
    caplog.set_level(logging.DEBUG)
    events: list[Any] = []
    settings = SessionSettings.for_tests(
        store=f"sqlite:///{tmp_path}/sessions.db",
        encryption_keys=[secrets.token_urlsafe(32)],
        rotation_interval=1,
        rotation_grace=0.5,
    )
    manager = SessionManager(settings, listeners=[events.append])
    client = site(settings)
    seen: set[str] = set()
    told: list[str] = []
    for path in ("/", "/in", "/", "/new", "/", "/public", "/in", "/out", "/"):
        response = client.get(path)
        seen |= {m for m in re.findall(r"session=([^;]+)", str(response.headers)) if "." in m}
        rest = {k: v for k, v in response.headers.items() if k != "set-cookie"}
        told += [response.text, str(response.url), str(rest)]
    tokens = [token for each in seen if (token := TokenSigner(_keys(settings)).verify(each))]
    assert len(tokens) >= 3
    assert events
    told += [caplog.text, str(events), repr(manager), repr(manager.runtime.desk), repr(settings)]
    client.close()
    manager.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert stored
    for value in [*seen, *(token.secret for token in tokens)]:
        assert not any(value in text for text in told)
        assert value.encode() not in stored
    assert b"quince" not in stored


def _keys(settings: SessionSettings) -> list[str]:
    return [settings.secret_key.get_secret_value()]


def test_error_reports_show_no_key_and_no_token() -> None:
    """Reporters of errors print the `repr` of everything around a failure."""
    settings = SessionSettings.for_tests(
        secret_key=SECRET, user_tag_key=SECRET[::-1], encryption_keys=[b"e" * 32]
    )
    runtime = Runtime(settings)
    desk = runtime.desk
    token = desk.mint("ada")
    header = f"session={desk.signer.sign(token)}"
    request = RequestInfo(header)
    exchange = runtime.exchange(header, "/", "GET", lambda name: None)
    shown = "".join(map(repr, (settings, runtime, desk, token, request, exchange, desk.sealer)))
    hidden = (SECRET, SECRET[::-1], token.secret, "e" * 32)
    keys = (desk.user_tag_key, *desk.rotation_keys)
    assert not any(text in shown for text in hidden)
    assert not any(repr(key)[2:-1] in shown for key in keys)


def test_our_own_answers_say_nothing_of_the_inside() -> None:
    inside = StoreUnavailable("redis://:hunter2@10.0.0.7 refused SELECT payload", store="redis")
    answer = answer_for(inside, [])
    assert answer is not None
    assert answer.status == 503
    for word in (b"redis", b"hunter2", b"10.0.0.7", b"payload"):
        assert word not in answer.body
    assert ("Cache-Control", "no-store") in answer.headers


def test_hostile_cookies_are_not_echoed_into_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="openclaw_middleware")
    lab = Lab()
    for value in ("a\r\nFAKE LOG LINE", "%s%n", "\x1b[31m", "x" * 9000, ".a.0.b.c"):
        assert Browser(lab, value).data() == {}
    assert "FAKE" not in caplog.text
    assert "FAKE" not in str(lab.events)
    assert len(lab.told(ev.CookieRejected)) >= 3


def test_a_hostile_host_writes_no_line_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Servers let line ends through that are none in HTTP, and what terminals obey."""
    client = site(SessionSettings(secret_key=SECRET, store="memory://"))
    client.base_url = "http://example.org"
    client.get("/in", headers={"Host": "example.org\x85FAKE\x1b[2J".encode()})

    (line,) = [each.getMessage() for each in caplog.records if each.name == "openclaw_middleware"]
    assert "over plain http to 'example.org\\xc2\\x85FAKE\\x1b[2J'" in line
    assert line.isprintable()


def test_no_pickle_carries_a_token_or_a_key() -> None:
    """Into a queue or a cache, where somebody means to keep data; `to_dict` is for them."""
    runtime = Runtime(SessionSettings.for_tests(secret_key=SECRET))
    exchange = runtime.exchange("", "/", "GET", lambda name: None)
    assert exchange is not None
    session = runtime.session(exchange, blocking=True)
    session.login("ada")
    runtime.blocking.commit(exchange)
    for each in (session, exchange, runtime, SessionManager(runtime)):
        with pytest.raises(TypeError):
            pickle.dumps(each)
    assert pickle.dumps(session.to_dict())


# -- limits -------------------------------------------------------------------------------------


def test_the_nist_presets_are_the_numbers_of_the_standard() -> None:
    assert PRESETS["nist_aal1"] == Policy(None, 30 * DAY)
    assert PRESETS["nist_aal2"] == Policy(HOUR, 24 * HOUR)
    assert PRESETS["nist_aal3"] == Policy(15 * MINUTE, 12 * HOUR)
    assert not any(PRESETS[f"nist_aal{level}"].persistent for level in (1, 2, 3))


def test_the_default_lies_within_nist_aal2_and_remember_beyond_aal1() -> None:
    default = SessionSettings.for_tests().all_policies()["default"]
    assert default.idle <= PRESETS["nist_aal2"].idle
    assert default.absolute <= PRESETS["nist_aal3"].absolute
    assert default.idle > PRESETS["nist_aal3"].idle
    assert PRESETS["remember"].absolute > PRESETS["nist_aal1"].absolute


@pytest.mark.parametrize(
    ("policy", "idle", "absolute"),
    [("nist_aal2", HOUR, 24 * HOUR), ("nist_aal3", 15 * MINUTE, 12 * HOUR)],
)
def test_a_sign_in_lives_as_long_as_its_preset(policy: str, idle: int, absolute: int) -> None:
    lab = Lab()
    browser = lab.browser()
    browser.sign_in("ada", policy=policy)
    record = record_of(lab, browser)
    assert (record.idle_timeout, record.absolute_timeout) == (idle, absolute)
    lab.clock.advance(idle - 1)
    assert browser.twin().user() == "ada"
    lab.clock.advance(1)
    request = browser.request()
    assert request.session.user_id is None
    assert request.session.previous_end is EndReason.IDLE


def test_the_absolute_clock_counts_from_the_moment_the_provider_names() -> None:
    """`verified_at` carries a provider's time of authentication over (ASVS 7.6.1)."""
    lab = Lab(idle_timeout=None)
    browser = lab.browser()
    hours_ago = datetime.fromtimestamp(lab.clock() - 7 * HOUR, UTC)
    browser.sign_in("ada", verified_at=hours_ago)
    with pytest.raises(ReauthenticationRequired):
        browser.request().session.require_recent(6 * HOUR)
    browser.request().session.require_recent(8 * HOUR)
    lab.clock.advance(HOUR - 1)
    assert browser.user() == "ada"
    lab.clock.advance(1)
    assert browser.user() is None


def test_a_sign_in_cannot_claim_to_lie_in_the_future() -> None:
    lab = Lab()
    browser = lab.browser()
    browser.sign_in("ada", verified_at=lab.clock() + DAY)
    assert record_of(lab, browser).started <= lab.clock()


def test_require_recent_wants_a_sign_in_not_activity() -> None:
    lab = Lab()
    browser = lab.browser()
    with pytest.raises(ReauthenticationRequired):
        browser.request().session.require_recent(300)
    browser.sign_in("ada")
    for _ in range(4):
        lab.clock.advance(100)
        browser.visit(seen=lab.clock())
    with pytest.raises(ReauthenticationRequired):
        browser.request().session.require_recent(300)
    request = browser.request()
    request.session.regenerate()
    with pytest.raises(ReauthenticationRequired):
        request.session.require_recent(300)
    browser.sign_in("ada")
    browser.request().session.require_recent(300)
    with pytest.raises(ReauthenticationRequired):
        browser.request().session.require_recent(float("nan"))


def test_signing_in_again_replaces_the_token_and_kills_the_old_one() -> None:
    lab = Lab()
    browser = lab.browser()
    browser.sign_in("ada")
    old = browser.twin()
    before = token_of(lab, browser)
    browser.sign_in("ada")
    after = token_of(lab, browser)
    assert (before.id, before.secret) != (after.id, after.secret)
    assert old.user() is None
    assert browser.user() == "ada"


@pytest.mark.parametrize("cause", ["limit", "superseded"])
def test_a_refused_sign_in_is_told(cause: str) -> None:
    lab = Lab(max_sessions_per_user=1, on_limit="reject")
    if cause == "limit":
        lab.browser().sign_in("ada")
    else:
        lab.store.end_user(lab.desk.tag("ada"), EndReason.REVOKED)
    request = lab.browser().request()
    request.session.login("ada", verified_at=lab.clock() - 1)
    with pytest.raises(LoginRefused):
        request.finish()
    assert [(e.user_id, e.cause) for e in lab.told(ev.LoginDenied)] == [("ada", cause)]


def test_events_tell_who_came_in_and_how_it_ended() -> None:
    lab = Lab()
    browser = lab.browser()
    session_id = browser.sign_in("ada")
    request = browser.request()
    request.session.logout()
    request.finish()
    (came,) = lab.told(ev.LoggedIn)
    (went,) = lab.told(ev.SessionFinished)
    assert (came.user_id, came.session_id) == (went.user_id, went.session_id) == ("ada", session_id)
    assert went.reason is EndReason.SIGNED_OUT


# -- somebody who reads the store ---------------------------------------------------------------


def test_without_a_key_of_its_own_the_tag_confirms_a_guessed_user_id() -> None:
    lab = Lab()
    session_id = lab.browser().sign_in("ada@example.com")
    guessing = make_desk(SessionSettings.for_tests())  # other keys, the same namespace
    assert session_id.startswith(guessing.tag("ada@example.com"))
    assert not session_id.startswith(guessing.tag("eve@example.com"))


def test_with_user_tag_key_it_does_not() -> None:
    lab = Lab(user_tag_key=SECRET)
    session_id = lab.browser().sign_in("ada@example.com")
    assert not session_id.startswith(make_desk(SessionSettings.for_tests()).tag("ada@example.com"))
    assert session_id.startswith(user_tag(lab.desk.user_tag_key, "ada@example.com"))


def test_what_a_dump_shows() -> None:
    """User ids, times and limits always; data only without encryption; secrets never."""
    for keys, readable in ((), True), ([secrets.token_urlsafe(32)], False):
        lab = Lab(encryption_keys=keys)
        browser = lab.browser()
        browser.sign_in("ada")
        browser.visit(note="quince")
        dump = repr(record_of(lab, browser))
        assert "ada" in dump
        assert ("quince" in dump) is readable
        assert token_of(lab, browser).secret not in dump


# -- somebody who writes to the store, without our keys -----------------------------------------


class TestAWriterOfTheStore:
    def test_cannot_move_data_or_identity_between_sessions(self) -> None:
        lab = Lab()
        ada, eve = lab.browser(), lab.browser()
        ada.sign_in("ada")
        eve.sign_in("eve")
        theirs, mine = record_of(lab, ada), record_of(lab, eve)
        for forged in (
            replace(mine, payload=theirs.payload),
            replace(mine, user_id="ada"),
            replace(mine, user_id="ada", payload=theirs.payload),
            replace(theirs, id=mine.id, secret_hash=mine.secret_hash),
            replace(mine, user_id=None),
        ):
            put(lab, forged)
            assert eve.user() is None
        assert lab.told(ev.RecordUnreadable)

    def test_cannot_lend_its_own_secret_to_a_foreign_record(self) -> None:
        """The id is in the signed token: a foreign record with my hash still wants a token of its
        own id, which only the server signs."""
        lab = Lab()
        ada, eve = lab.browser(), lab.browser()
        ada.sign_in("ada")
        eve.sign_in("eve")
        put(lab, replace(record_of(lab, ada), secret_hash=record_of(lab, eve).secret_hash))
        assert eve.user() == "eve"
        value = str(eve.cookie)
        renamed = value.replace(record_of(lab, eve).id, token_of(lab, ada).id)
        assert Browser(lab, renamed).user() is None

    @pytest.mark.parametrize(
        "change",
        [
            {"absolute_timeout": 10.0 * DAY},
            {"idle_timeout": 10.0 * DAY},
            {"authenticated_at": 1_700_000_500.0},
            {"created_at": 1_700_000_500.0},
            {"policy": "remember"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_cannot_lengthen_a_session(self, change: dict[str, Any]) -> None:
        lab = Lab()
        browser = lab.browser()
        browser.sign_in("ada")
        put(lab, replace(record_of(lab, browser), **change))
        assert browser.user() is None

    def test_can_put_an_older_payload_of_the_same_session_back(self) -> None:
        """The version is not bound, so that a touch or rotation need not seal anew."""
        lab = Lab()
        browser = lab.browser()
        browser.sign_in("ada")
        browser.visit(credit=100)
        older = record_of(lab, browser)
        browser.visit(credit=0)
        put(lab, replace(record_of(lab, browser), payload=older.payload))
        assert browser.data() == {"credit": 100}

    def test_can_undo_a_logout_until_the_absolute_limit(self) -> None:
        """Only for whoever still holds the token, and no longer than the sealed limit."""
        lab = Lab()
        browser = lab.browser()
        browser.sign_in("ada")
        copy, stolen = browser.twin(), record_of(lab, browser)
        request = browser.request()
        request.session.logout()
        request.finish()
        assert copy.user() is None
        lab.store.state.tombstones.clear()  # type: ignore[attr-defined]
        put(lab, stolen)
        assert copy.user() == "ada"
        lab.clock.advance(8 * HOUR)
        put(lab, replace(stolen, last_active_at=lab.clock()))
        assert copy.user() is None

    def test_can_hold_off_the_idle_limit_but_not_the_absolute_one(self) -> None:
        lab = Lab()
        browser = lab.browser()
        browser.sign_in("ada")
        for _ in range(7):
            lab.clock.advance(HOUR)
            put(lab, replace(record_of(lab, browser), last_active_at=lab.clock()))
            assert browser.twin().user() == "ada"
        lab.clock.advance(HOUR)
        put(lab, replace(record_of(lab, browser), last_active_at=lab.clock()))
        assert browser.user() is None


def test_deployments_with_one_secret_key_trust_each_others_records() -> None:
    """A record copied from a test system opens in another with the same keys and namespace; a
    namespace of its own keeps a user's record out, unless both share `user_tag_key`."""
    for settings, opens in (
        ({}, True),
        ({"namespace": "staging"}, False),
        ({"namespace": "staging", "user_tag_key": SECRET[::-1]}, True),
    ):
        here = {k: v for k, v in settings.items() if k != "namespace"}
        staging = Lab(secret_key=SECRET, **settings)
        production = Lab(secret_key=SECRET, **here)
        browser = staging.browser()
        browser.sign_in("admin")
        put(production, record_of(staging, browser))
        assert (Browser(production, browser.cookie).user() == "admin") is opens


# -- other sites and neighbours -----------------------------------------------------------------


def test_a_planted_cookie_beside_the_real_one_signs_nobody_in() -> None:
    """A neighbour on a sister domain can add a cookie of ours, but not choose who we are."""
    lab = Lab()
    ada, eve = lab.browser(), lab.browser()
    ada.sign_in("ada")
    eve.sign_in("eve")
    for order in ((ada, eve), (eve, ada)):
        cookies = "; ".join(f"session={browser.cookie}" for browser in order)
        request = ada.request(cookies=cookies)
        assert request.session.user_id is None


def test_a_planted_session_does_not_survive_the_sign_in() -> None:
    """Fixation: the attacker's own valid anonymous token, brought into the victim's browser."""
    lab = Lab()
    attacker = lab.browser()
    attacker.visit(cart=["bait"])
    victim = attacker.twin()
    victim.sign_in("ada")
    assert attacker.user() is None
    assert attacker.data() == {}
    assert victim.data() == {"cart": ["bait"]}


def test_hashes_are_sha256() -> None:
    """SHA-1 only names Redis scripts, as Redis does itself."""
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "hashlib":
                # Browsers check a script by SHA-384.
                more = {"redis_wire.py": "sha1", "heartbeat_script.py": "sha384"}
                names = {"sha256", more.get(path.name)}
                assert node.attr in names, f"{path}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "hmac.digest":
                assert ast.unparse(node.args[2]) == "'sha256'", f"{path}:{node.lineno}"


# -- activity, claims, listeners ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("OPTIONS", {}),
        ("GET", {"sec-purpose": "prefetch"}),
        ("GET", {"purpose": "prefetch"}),
        ("GET", {"sec-purpose": "prefetch;prerender"}),
    ],
)
def test_what_nobody_looked_at_is_no_activity(method: str, headers: dict[str, str]) -> None:
    runtime = Runtime(SessionSettings.for_tests())
    token = runtime.desk.signer.sign(runtime.desk.mint(None))
    exchange = runtime.exchange(f"session={token}", "/", method, headers.get)
    looked_at = runtime.exchange(f"session={token}", "/", "GET", lambda name: None)
    assert exchange is not None
    assert looked_at is not None
    assert exchange.request.passive
    assert not looked_at.request.passive


def test_claims_of_a_sign_in_change_with_a_sign_in_alone() -> None:
    lab = Lab()
    browser = lab.browser()
    browser.sign_in("ada", claims={"aal": 1})
    browser.visit(claims={"aal": 3}, aal=3)
    request = browser.request()
    request.session.regenerate()
    request.finish()
    assert browser.request().session.info.claims == {"aal": 1}
    browser.sign_in("ada", claims={"aal": 2})
    assert browser.request().session.info.claims == {"aal": 2}


def test_a_listener_that_fails_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    lab = Lab()

    def broken(event: ev.Event) -> None:
        raise RuntimeError("the log is full")

    lab.desk.events.add([broken])
    browser = lab.browser()
    browser.sign_in("ada")
    assert browser.user() == "ada"
    assert "a listener failed on LoggedIn" in caplog.text
