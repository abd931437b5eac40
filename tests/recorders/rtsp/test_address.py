"""Addresses of cameras: what they say, and which are none."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from merger.errors import Invalid, Refused, Temporary
from merger.network.addresses import LOCAL_NETWORKS, Rules, networks
from merger.ports.recorder import SourceOfRoom
from recorders.rtsp.address import CAMERAS, Address, address_of
from recorders.rtsp.connection import resolve
from recorders.rtsp.source import Rtsp

pytestmark = pytest.mark.quick

MOSCOW = ZoneInfo("Europe/Moscow")


def source(address: str = "rtsp://10.0.5.4/live", name: str = "camera") -> SourceOfRoom:
    return SourceOfRoom("504", name, "speaker", "rtsp", address, MOSCOW)


def test_what_an_address_says() -> None:
    said = address_of(source("rtsps://cam-504.example.edu:8322/a?b=1#always"))
    assert said == Address("rtsps://cam-504.example.edu:8322/a?b=1", True)
    for margin in ("early", "late"):
        with pytest.raises(Refused, match=f"says {margin}, which is a setting of the room"):
            address_of(source(f"rtsp://10.0.5.4/live#{margin}=60"))
    with pytest.raises(Refused, match="did you mean 'always'"):
        address_of(source("rtsp://10.0.5.4/live#alway"))
    with pytest.raises(Refused, match="shorten"):
        address_of(source(name="x" * 240))


@pytest.mark.parametrize("credentials", ["hunter2", ":hunter2", "user:hun\nter2"])
def test_credentials_of_another_form(credentials: str) -> None:
    wrong = SourceOfRoom("504", "c", "speaker", "rtsp", "rtsp://10.0.5.4/", MOSCOW, credentials)
    with pytest.raises(Refused, match="user:password") as told:
        Rtsp().check(wrong)
    assert "hun" not in str(told.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "0.0.0.0",
        "169.254.1.1", "fe80::1%eth0", "224.0.0.1",
    ],
)  # fmt: skip
def test_addresses_of_this_machine_and_its_link_are_no_camera_s(address: str) -> None:
    with pytest.raises(Refused, match="MERGER_ALLOW_LOCAL_CAMERAS"):
        resolve(address.partition("%")[0], 554, CAMERAS)
    with pytest.raises(Invalid, match="MERGER_ALLOW_LOCAL_CAMERAS"):
        address_of(source(f"rtsp://{literal(address)}/live"))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("fd00::4", "fd00::/8"), ("100.64.0.5", "100.64.0.0/10"), ("169.254.169.254", "169.254.169.254"),
        ("64:ff9b::100.64.0.5", "100.64.0.5"), ("fd00:ec2::254", "fd00:ec2::254"),
    ],
)  # fmt: skip
def test_addresses_that_are_a_camera_s_where_they_are_listed(address: str, network: str) -> None:
    listed = Rules("cameras", networks(network))
    typed = source(f"rtsp://{literal(address)}:554/live")
    with pytest.raises(Invalid, match="MERGER_ALLOWED_NETWORKS as cameras="):
        address_of(typed)
    with pytest.raises(Refused, match="MERGER_ALLOWED_NETWORKS as cameras="):
        resolve(address, 554, CAMERAS)
    assert address_of(typed, listed).url == typed.address
    assert resolve(address, 554, listed)


def literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def test_addresses_that_may_be_a_camera_s() -> None:
    for host in ("10.0.5.4", "192.168.1.2", "8.8.8.8", "[2a00::4]", "cam-504", "cam_504.lan."):
        address_of(source(f"rtsp://{host}/live"))
    assert resolve("10.0.5.4", 554, CAMERAS) == "10.0.5.4"
    local = Rules("cameras", LOCAL_NETWORKS)
    assert resolve("localhost", 554, local) in ("127.0.0.1", "::1")
    with pytest.raises(Temporary):
        resolve("no-such-host.invalid", 554, local)


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.1", "2130706433", "010.0.5.4", "10.0.5.4\\x", "10.0.5.4%2e", "ⓒam.lan"]
)
def test_hosts_that_programs_read_in_different_ways(host: str) -> None:
    with pytest.raises(Invalid, match="not the address of a camera"):
        address_of(source(f"rtsp://{host}/live"))
