"""Sockets and event streams through nginx, HAProxy and Apache, on the published files."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from contextlib import closing

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.fresh import namespace
from tests.heartbeat.fronts import FRONTS, HOST
from tests.servers import Servers
from tests.sockets.conftest import Open
from tests.sockets.site import PATIENCE, Site

TRUSTING = ssl.create_default_context()
TRUSTING.check_hostname, TRUSTING.verify_mode = False, ssl.CERT_NONE


@pytest.fixture(scope="module", params=FRONTS)
def through(request: pytest.FixtureRequest) -> str:
    """The proxy's name."""
    name: str = request.param
    return name


@pytest.fixture
def served(open_site: Open, servers: Servers, through: str) -> Iterator[tuple[Site, int]]:
    """A site, and the port on which the proxy takes requests for it."""
    site = open_site(store="memory://", namespace=namespace())
    front = servers.start(FRONTS[through](site.port))
    yield site, front.port
    front.remove()


def test_a_socket_tells_through_a_proxy_why_it_ends(served: tuple[Site, int]) -> None:
    site, port = served
    session_id, cookie = site.sign_in("ada")
    with connect(
        f"wss://{HOST}:{port}/socket",
        address=("127.0.0.1", port),
        ssl=TRUSTING,
        additional_headers={"Cookie": cookie},
        open_timeout=PATIENCE,
    ) as socket:
        assert session_id in socket.recv(PATIENCE)
        socket.send('["set", "n", 1]')
        assert socket.recv(PATIENCE) == '["set","n",1]'
        assert site.manager.revoke(session_id)
        with pytest.raises(ConnectionClosed) as gone:
            socket.recv(PATIENCE)
    assert gone.value.rcvd is not None
    assert (gone.value.rcvd.code, gone.value.rcvd.reason) == (4401, "revoked")


def test_an_event_stream_tells_through_a_proxy_why_it_ends(served: tuple[Site, int]) -> None:
    site, port = served
    session_id, cookie = site.sign_in("ada")
    wire = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=TRUSTING)
    with closing(wire):
        wire.request("GET", "/events", headers={"Host": HOST, "Cookie": cookie})
        response = wire.getresponse()
        assert response.readline() == b"data: tick\n"
        assert site.manager.revoke(session_id)
        last = response.read().split(b"\n\n")[-2]
    assert last == b'event: session-ended\ndata: {"reason": "revoked"}'
