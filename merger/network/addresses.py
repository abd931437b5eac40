"""What an IP address is, and whether connections for a purpose may lead there. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, get_args

from merger.errors import Broken
from merger.i18n import Message

# Each has networks of its own that are allowed.
Purpose = Literal["cameras", "webhooks", "oidc", "timetables"]
Address = IPv4Address | IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Kind = Literal[
    "metadata", "loopback", "unspecified", "link_local", "multicast", "shared", "unique_local",
    "reserved", "private", "public",
]  # fmt: skip

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


def networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a list with commas. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


# The first that an address is in says its kind. Metadata services answer whoever is that near with
# passwords: of Amazon, Alibaba, Azure, Google and Oracle.
_KINDS: tuple[tuple[Kind, tuple[Network, ...]], ...] = (
    (
        "metadata",
        networks(
            "169.254.169.254, 169.254.170.2, 169.254.170.23, 100.100.100.200, 168.63.129.16,"
            "192.0.0.192, fd00:ec2::254, fd00:ec2::23, fd20:ce::254"
        ),
    ),
    ("loopback", networks("127.0.0.0/8, ::1")),
    ("unspecified", networks("0.0.0.0/8, ::")),
    ("link_local", networks("169.254.0.0/16, fe80::/10")),
    ("multicast", networks("224.0.0.0/4, ff00::/8")),
    ("shared", networks("100.64.0.0/10")),
    ("unique_local", networks("fc00::/7, fec0::/10")),
    # The second is for translation within a network, in which nobody else knows what it means.
    ("reserved", networks("240.0.0.0/4, 64:ff9b:1::/48")),
)
_NETWORKS_OF: dict[str, tuple[Network, ...]] = dict(_KINDS)

LOCAL: frozenset[Kind] = frozenset(("loopback", "unspecified", "link_local", "multicast"))
REFUSED: frozenset[Kind] = frozenset(kind for kind, _ in _KINDS)
NOT_PUBLIC: frozenset[Kind] = REFUSED | {"private"}

# What MERGER_ALLOW_LOCAL_CAMERAS allows; and what else was allowed before kinds were told apart.
LOCAL_NETWORKS = tuple(network for kind in sorted(LOCAL) for network in _NETWORKS_OF[kind])
_OTHERS = tuple(
    network for kind in ("shared", "unique_local", "reserved") for network in _NETWORKS_OF[kind]
)
_EARLIER = {
    "cameras": _OTHERS,
    "webhooks": (*_OTHERS, *LOCAL_NETWORKS),
    "oidc": (*_OTHERS, *LOCAL_NETWORKS),
    "timetables": (),
}

# IPv6 addresses that stand for an IPv4 one: below which prefix, how many bits from the right, and
# whether those are inverted. RFC 4291 (two), 2765, 6052, 3056, 4380 (a server, and a client).
_STANDS_FOR = tuple(
    (ipaddress.IPv6Network(prefix), shift, inverted)
    for prefix, shift, inverted in (
        ("::ffff:0:0/96", 0, 0),
        ("::/96", 0, 0),
        ("::ffff:0:0:0/96", 0, 0),
        ("64:ff9b::/96", 0, 0),
        ("2002::/16", 80, 0),
        ("2001::/32", 64, 0),
        ("2001::/32", 0, 0xFFFFFFFF),
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214: bits 32 to 64 from the right, below any prefix


def address_of(text: str) -> Address | None:
    """Return the address that a text is, whatever its zone; None for anything else, as a name."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def kind_of(address: Address) -> Kind:
    """Return what an address is, by itself."""
    for kind, of in _KINDS:
        if any(address in network for network in of):
            return kind
    return "public" if address.is_global else "private"


def meanings(address: Address) -> Iterator[Address]:
    """Yield the addresses that packets to an address may reach: itself, or those it stands for."""
    if isinstance(address, IPv4Address) or int(address) <= 1:  # :: and ::1 stand for themselves
        yield address
        return
    bits = int(address)
    found = [
        IPv4Address(((bits >> shift) & 0xFFFFFFFF) ^ inverted)
        for prefix, shift, inverted in _STANDS_FOR
        if address in prefix
    ]
    if not found:
        yield address
    if (bits >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(IPv4Address(bits & 0xFFFFFFFF))
    yield from found


class NotAllowed(Broken):
    """A connection is not made, because of where it leads."""

    def __init__(self, purpose: str, host: str, address: str, kind: Kind) -> None:
        key = "network.is_not_allowed" if host == address else "network.leads_to_not_allowed"
        what = Message(f"network.kind.{kind}")
        super().__init__("address", key, host=host, address=address, what=what, purpose=purpose)
        self.host, self.address, self.kind = host, address, kind


@dataclass(frozen=True)
class Rules:
    """Where connections for a purpose may lead.

    listed: networks that are allowed, whatever they are; a metadata service must be listed by
    itself. earlier: hosts that were in use before addresses were told apart. refused: the kinds
    that are not allowed. is_literal: what is listed is meant for hosts that are addresses, and not
    for names.
    """

    purpose: str
    listed: tuple[Network, ...] = ()
    earlier: frozenset[str] = frozenset()
    refused: frozenset[Kind] = REFUSED
    is_literal: bool = False

    def networks_for(self, host: str) -> tuple[Network, ...]:
        """Return the networks that are allowed for a host."""
        if self.is_literal and address_of(host) is None:
            return ()
        return (*self.listed, *_EARLIER[self.purpose]) if host in self.earlier else self.listed

    def refused_kind(self, host: str, text: str) -> Kind | None:
        """Return what an address of a host is, where that is not allowed; None where it is."""
        address = address_of(text)
        if address is None:
            return "reserved"  # of no family that we know
        allowed = self.networks_for(host)
        for meant in meanings(address):
            kind = kind_of(meant)
            listed = any(
                one in network and (kind != "metadata" or network.num_addresses == 1)
                for one in {meant, address}
                for network in allowed
            )
            if kind in self.refused and not listed:
                return kind
        return None

    def check(self, host: str, addresses: list[str]) -> None:
        """Raise NotAllowed where any address of a host is not allowed."""
        for address in addresses:
            if kind := self.refused_kind(host, address):
                raise NotAllowed(self.purpose, host, address, kind)

    def check_literal(self, host: str) -> None:
        """Raise NotAllowed for a host that needs no name server to be known as not allowed."""
        if literal := literal_of(host):
            self.check(host, [literal])

    def trusting(self, host: str) -> Rules:
        """Return rules for a host that the operator wrote down, and for others that it names.

        An address is taken for its own listing, unless it is a metadata service's.
        """
        allowed = self.networks_for(host)
        if is_localhost(host):
            allowed += _NETWORKS_OF["loopback"]
        elif (address := address_of(host)) and "metadata" not in map(kind_of, meanings(address)):
            allowed += (ipaddress.ip_network(address),)
        return replace(self, listed=allowed)


def is_localhost(host: str) -> bool:
    """Return whether a name is one of this machine (RFC 6761)."""
    return host == "localhost" or host.endswith(".localhost")


def literal_of(host: str) -> str | None:
    """Return the address that a host is, without a name server; None for other names."""
    if is_localhost(host):
        return "127.0.0.1"
    return host if address_of(host) is not None else None


def listed_networks(text: str) -> tuple[tuple[Purpose, Network], ...]:
    """Return what MERGER_ALLOWED_NETWORKS lists. Raises ValueError."""
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, network = part.partition("=")
        purpose = next((purpose for purpose in PURPOSES if purpose == name.strip()), None)
        if purpose is None or not equals:
            raise ValueError(part)
        found.append((purpose, ipaddress.ip_network(network.strip())))
    return tuple(found)
