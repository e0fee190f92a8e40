"""Sockets of blocking clients, plain and TLS: all their waits together keep one deadline."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from openclaw_middleware.core import deadline
from openclaw_middleware.stores.limited_sockets import limit

TIMEOUT = 0.6


@pytest.fixture(params=["plain", "tls"])
def ends(request, tmp_path):
    """Ours, limited, and the server's."""
    ours, theirs = socket.socketpair()
    if request.param == "tls":
        server, client = contexts(tmp_path)
        made = {}
        wrap = threading.Thread(
            target=lambda: made.update(theirs=server.wrap_socket(theirs, server_side=True))
        )
        wrap.start()
        ours = client.wrap_socket(ours)
        wrap.join()
        theirs = made["theirs"]
    with ours, theirs:
        yield limit(ours), theirs


def contexts(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = made.public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "both.pem").write_bytes(pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    return server, client


def timed(call):
    began = time.monotonic()
    begun = deadline.begin(TIMEOUT)
    try:
        with pytest.raises(TimeoutError):
            call()
    finally:
        deadline.end(begun)
    assert 0.9 * TIMEOUT < time.monotonic() - began < 2 * TIMEOUT


@pytest.fixture
def dripping(ends):
    """The server sends a byte every now and then."""
    stop = threading.Event()

    def drip():
        while not stop.wait(TIMEOUT / 4):
            ends[1].sendall(b".")

    thread = threading.Thread(target=drip)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize("how", ["recv", "recv_into", "file"])
def test_an_answer_in_pieces(ends, dripping, how):
    ours = ends[0]

    def read():
        if how == "file":
            return ours.makefile("rb").read(100)
        got = 0
        while got < 100:
            got += len(ours.recv(100)) if how == "recv" else ours.recv_into(bytearray(100))
        return got

    timed(read)


def test_nobody_takes_what_is_sent(ends):
    timed(lambda: ends[0].sendall(b"." * 50_000_000))


def test_it_is_the_same_socket_and_limited_once(ends):
    ours = ends[0]
    kind = type(ours)
    assert limit(ours) is ours
    assert type(ours) is kind
    ends[1].sendall(b"!")
    assert ours.recv(1) == b"!"


@pytest.mark.parametrize("how", ["recv", "recv_into"])
def test_who_only_looks_does_not_wait(ends, how):
    """So do clients before they use a pooled connection."""
    ours, _ = ends
    ours.settimeout(0)
    begun = deadline.begin(TIMEOUT)
    with pytest.raises((BlockingIOError, ssl.SSLWantReadError)):
        ours.recv(1) if how == "recv" else ours.recv_into(bytearray(1))
    deadline.end(begun)
