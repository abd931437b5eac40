"""Addresses of cameras: what they say, and which are none."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from merger.errors import Refused, Temporary
from merger.ports.recorder import SourceOfRoom
from recorders.rtsp.address import Address, address_of
from recorders.rtsp.local_hosts import is_forbidden, resolve
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
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "fe80::1%eth0",
        "224.0.0.1",
    ],
)
def test_addresses_that_are_no_camera_s(address: str) -> None:
    assert is_forbidden(address)
    with pytest.raises(Refused, match="MERGER_ALLOW_LOCAL_CAMERAS"):
        resolve(address.partition("%")[0], 554, allow_local=False)


def test_addresses_that_may_be_a_camera_s() -> None:
    assert not any(
        map(is_forbidden, ("10.0.5.4", "192.168.1.2", "8.8.8.8", "fd00::4", "2001:db8::1"))
    )
    assert resolve("10.0.5.4", 554, allow_local=False) == "10.0.5.4"
    assert resolve("localhost", 554, allow_local=True) in ("127.0.0.1", "::1")
    with pytest.raises(Temporary):
        resolve("no-such-host.invalid", 554, allow_local=True)
