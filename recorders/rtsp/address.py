"""Addresses of the kind `rtsp`: what they say, and which are not connected to. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, parse_qsl, urlsplit

from merger.errors import Invalid, did_you_mean
from merger.i18n import Param
from recorders.base import SourceOfRoom, invalid_source
from recorders.rtsp.local_hosts import is_forbidden

SCHEMES = ("rtsp", "rtsps")
_SETTINGS = ("always",)
_OF_ROOM = ("early", "late")
_LONGEST_NAME = 255  # bytes of a file's name


@dataclass(frozen=True)
class Address:
    """What an address says. url: without what stands behind its #."""

    url: str
    always: bool = False


def address_of(source: SourceOfRoom, *, allow_local: bool = False) -> Address:
    """Return what an address says. Raises Invalid with what to write instead."""

    def invalid(key: str, **params: Param) -> Invalid:
        return invalid_source(source, "address", f"recorders.rtsp.{key}", **params)

    url, _, options = source.address.partition("#")
    try:
        parts = urlsplit(url)
        is_fine = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        is_fine = False
    if not is_fine or not url.isprintable() or re.search(r"\s", url):
        raise invalid("not_a_camera")
    if parts.username is not None or parts.password is not None:
        raise invalid("secrets_in_address")
    if _is_local(parts) and not allow_local:
        raise invalid("local_address", host=parts.hostname or "")
    longest = len(f"2026-11-20_10-00-00_{source.room}_{source.name}.json".encode())
    if longest > _LONGEST_NAME:
        raise invalid("names_too_long")
    return _with_options(Address(url), options, invalid)


def _is_local(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False  # a name: looked at whenever it is connected to
    return is_forbidden(host)


def _with_options(address: Address, options: str, invalid: Callable[..., Invalid]) -> Address:
    """Return an address with what stands behind its #."""
    seen = set()
    for name, value in parse_qsl(options, keep_blank_values=True):
        if name in _OF_ROOM:
            raise invalid("setting_of_room", setting=name)
        if name not in _SETTINGS:
            hint = did_you_mean(name, sorted(_SETTINGS))
            raise invalid("unknown_setting", setting=name, hint=hint)
        if name in seen:
            raise invalid("setting_twice", setting=name)
        seen.add(name)
        if value:
            raise invalid("setting_with_value", setting=name)
        address = replace(address, always=True)
    return address
