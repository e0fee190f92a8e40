"""What a new session may remember of its client, and where a request really came from.

Only for display and detection; nothing is decided by it. Off by default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Literal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Header = Callable[[str], str | None]

LONGEST_AGENT = 256


class ClientInfo:
    """Reads the client's description from a request, as much of it as the setting allows.

    Args:
        level: "none", "user_agent", or "full" (with the address).
        trusted_proxies: addresses or networks whose `X-Forwarded-For` is believed.
    """

    def __init__(
        self, level: Literal["none", "user_agent", "full"], trusted_proxies: Sequence[str] = ()
    ) -> None:
        self.level = level
        self.trusted: tuple[Network, ...] = tuple(
            ip_network(each, strict=False) for each in trusted_proxies
        )

    def read(self, header: Header, peer: str | None) -> dict[str, str] | None:
        """`user_agent` and, at "full", `address`; None when nothing is to be remembered."""
        if self.level == "none":
            return None
        found: dict[str, str] = {}
        agent = header("user-agent")
        if agent:
            found["user_agent"] = agent[:LONGEST_AGENT]
        if self.level == "full":
            address = self.address(header, peer)
            if address:
                found["address"] = address
        return found or None

    def address(self, header: Header, peer: str | None) -> str | None:
        """The nearest address that is not one of our proxies."""
        forwarded = header("x-forwarded-for") or ""
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        here = peer
        while here is not None and self.trusts(here) and hops:
            here = hops.pop()
        return _normal(here) if here is not None else None

    def trusts(self, address: str) -> bool:
        """Whether this is one of our proxies, however the setting writes an IPv4 address."""
        parsed = _parsed(address)
        if parsed is None:
            return False
        forms = {parsed, _plain(parsed)}
        return any(form in network for form in forms for network in self.trusted)


def _normal(address: str) -> str | None:
    parsed = _parsed(address)
    return None if parsed is None else str(_plain(parsed))


def _parsed(address: str) -> Address | None:
    """The address without its zone, which may be any text."""
    try:
        return ip_address(address.partition("%")[0])
    except ValueError:
        return None


def _plain(address: Address) -> Address:
    """An IPv4 client of a server that listens on both as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
