"""What addresses are, and which are allowed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merger.network.addresses import (
    LOCAL_NETWORKS,
    NOT_PUBLIC,
    PURPOSES,
    NotAllowed,
    Rules,
    address_of,
    kind_of,
    listed_networks,
    meanings,
    networks,
)

pytestmark = pytest.mark.quick

REFUSED = {
    "loopback": [
        "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1", "2002:7f00:1::", "2002:7f00:1:5::9",
        "2001:0:7f00:1::1", "2001:0:808:808::80ff:fffe",  # Teredo: its server, its client
        "2a00::5efe:7f00:1", "fd00::200:5efe:7f00:1",  # ISATAP
    ],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"],
    "link_local": ["169.254.1.1", "fe80::1", "fe80::1%eth0", "febf::1", "::ffff:169.254.1.1"],
    "metadata": [
        "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192",
        "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
    "multicast": ["224.0.0.1", "239.1.1.1", "ff02::1", "::ffff:224.0.0.1"],
    "shared": ["100.64.0.1", "100.127.255.255", "::ffff:100.64.0.1", "64:ff9b::100.64.0.1"],
    "unique_local": ["fc00::1", "fd00::4", "fdff:ffff::1", "fec0::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "64:ff9b:1::1", "not an address", ""],
}  # fmt: skip
ALLOWED = [
    "8.8.8.8", "2a00:1450::1", "10.0.5.4", "172.16.0.1", "192.168.1.2", "100.63.255.255",
    "100.128.0.1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b::10.0.5.4", "2002:808:808::1",
]  # fmt: skip


@pytest.mark.parametrize("purpose", PURPOSES)
def test_what_is_refused_everywhere(purpose: str) -> None:
    rules = Rules(purpose)
    found = {kind: [rules.refused_kind("host", one) for one in of] for kind, of in REFUSED.items()}
    wanted = {kind: [kind] * len(of) for kind, of in REFUSED.items()}
    # In a private prefix, that is what is told of it.
    wanted["loopback"][-1] = "unique_local"
    assert found == wanted
    assert [one for one in ALLOWED if rules.refused_kind("host", one)] == []


def test_what_is_not_of_the_internet() -> None:
    rules = Rules("zoom", refused=NOT_PUBLIC)
    public = [one for one in ALLOWED if rules.refused_kind("host", one) is None]
    literal = Rules("zoom", networks("127.0.0.1"), refused=NOT_PUBLIC, is_literal=True)
    assert literal.refused_kind("127.0.0.1", "127.0.0.1") is None
    assert literal.refused_kind("us02web.zoom.us", "127.0.0.1") == "loopback"
    assert public == [
        "8.8.8.8", "2a00:1450::1", "100.63.255.255", "100.128.0.1", "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8", "2002:808:808::1",
    ]  # fmt: skip


@given(st.ip_addresses(v=4), st.sampled_from(("::ffff:0:0", "::", "64:ff9b::", "::ffff:0:0:0")))
def test_an_ipv6_address_is_what_its_ipv4_address_is(
    inner: ipaddress.IPv4Address, prefix: str
) -> None:
    outer = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + int(inner))
    assert int(outer) <= 1 or list(meanings(outer)) == [inner]
    one, other = (Rules("cameras").refused_kind("host", str(a)) for a in (inner, outer))
    assert (one is None) == (other is None)


@pytest.mark.parametrize(
    ("listed", "address", "is_allowed"),
    [
        ("100.64.0.0/10", "100.64.0.1", True), ("100.64.0.0/10", "64:ff9b::100.64.0.1", True),
        ("100.64.0.0/10", "127.0.0.1", False), ("fd00::/8", "fd00::4", True),
        ("64:ff9b::/96", "64:ff9b::127.0.0.1", True), ("64:ff9b::/96", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.2", False), ("169.254.0.0/16", "169.254.1.1", True),
        # Whoever lists a network doesn't mean the service in it that gives passwords away.
        ("169.254.0.0/16", "169.254.169.254", False), ("fd00::/8", "fd00:ec2::254", False),
        ("::/0", "::ffff:169.254.169.254", False),
        ("169.254.169.254", "169.254.169.254", True), ("fd00:ec2::254", "fd00:ec2::254", True),
    ],
)  # fmt: skip
def test_what_is_listed(listed: str, address: str, is_allowed: bool) -> None:
    rules = Rules("oidc", networks(listed))
    assert (rules.refused_kind("host", address) is None) == is_allowed


def test_hosts_from_before() -> None:
    cameras = Rules("cameras", earlier=frozenset(("cam",)))
    for address in ("fd00::4", "100.64.0.1"):
        assert cameras.refused_kind("cam", address) is None
        assert cameras.refused_kind("other", address)
    assert cameras.refused_kind("cam", "127.0.0.1") == "loopback"  # as before
    hooks = Rules("webhooks", earlier=frozenset(("chat",)))
    assert hooks.refused_kind("chat", "127.0.0.1") is None
    assert hooks.refused_kind("chat", "169.254.169.254") == "metadata"
    # What an issuer names as its own is as good as itself.
    assert hooks.trusting("chat").refused_kind("keys.chat", "fd00::4") is None


def test_an_address_that_the_operator_wrote_is_allowed() -> None:
    hooks = Rules("webhooks")
    assert hooks.trusting("127.0.0.1").refused_kind("127.0.0.1", "127.0.0.1") is None
    assert hooks.trusting("127.0.0.1").refused_kind("127.0.0.2", "127.0.0.2")
    assert hooks.trusting("localhost").refused_kind("localhost", "::1") is None
    assert hooks.trusting("chat.example.edu") == hooks
    for metadata in ("169.254.169.254", "::ffff:169.254.169.254"):
        assert hooks.trusting(metadata).refused_kind(metadata, metadata) == "metadata"


def test_what_is_told_of_it() -> None:
    with pytest.raises(NotAllowed) as told:
        Rules("webhooks").check("chat.example.edu", ["10.0.0.1", "100.64.0.1"])
    assert str(told.value) == (
        "chat.example.edu leads to 100.64.0.1, an address behind a provider's NAT (100.64.0.0/10);"
        " correct it, or list it in MERGER_ALLOWED_NETWORKS as webhooks=100.64.0.1"
    )
    with pytest.raises(NotAllowed, match=r"^::1 is an address of this machine itself; correct it"):
        Rules("oidc").check_literal("::1")
    with pytest.raises(NotAllowed):
        Rules("oidc").check_literal("a.localhost")
    Rules("oidc").check_literal("localhost.example.edu")


def test_a_list_of_networks() -> None:
    assert listed_networks("") == ()
    found = listed_networks(" cameras=fd12:3456::/32,webhooks = 127.0.0.1 ,")
    assert [(purpose, str(network)) for purpose, network in found] == [
        ("cameras", "fd12:3456::/32"), ("webhooks", "127.0.0.1/32"),
    ]  # fmt: skip
    for wrong in (
        "127.0.0.1",
        "cameras",
        "cameras=",
        "mail=127.0.0.1",
        "oidc=10.0.0.1/8",
        "oidc=a",
    ):
        with pytest.raises(ValueError):
            listed_networks(wrong)


def test_local_networks_are_what_cameras_were_refused() -> None:
    assert not any(map(Rules("cameras", LOCAL_NETWORKS).refused_kind, "abcd", (
        "127.0.0.1", "::1", "169.254.1.1", "0.0.0.0",
    )))  # fmt: skip
    assert kind_of(address_of("8.8.8.8") or pytest.fail()) == "public"
