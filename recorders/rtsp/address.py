"""Addresses of the kind `rtsp`: what they say, and which are not connected to. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from merger.errors import Invalid, did_you_mean
from merger.i18n import Message, Param
from merger.network.addresses import LOCAL, NotAllowed, Rules
from merger.network.targets import Unclear, target_of
from recorders.base import SourceOfRoom, invalid_source

SCHEMES = ("rtsp", "rtsps")
CAMERAS = Rules("cameras")
_SETTINGS = ("always",)
_OF_ROOM = ("early", "late")
_LONGEST_NAME = 255  # bytes of a file's name


@dataclass(frozen=True)
class Address:
    """What an address says. url: without what stands behind its #."""

    url: str
    always: bool = False

    @property
    def host(self) -> str:
        """The host to connect to."""
        return target_of(self.url, SCHEMES).host


def address_of(source: SourceOfRoom, rules: Rules = CAMERAS) -> Address:
    """Return what an address says. Raises Invalid with what to write instead.

    Args:
        rules: where cameras may be.
    """

    def invalid(key: str, **params: Param) -> Invalid:
        return invalid_source(source, "address", f"recorders.rtsp.{key}", **params)

    url, _, options = source.address.partition("#")
    try:
        target = target_of(url, SCHEMES)
    except Unclear as error:
        has_secrets = "@" in url.partition("://")[2].partition("/")[0]
        raise invalid("secrets_in_address" if has_secrets else "not_a_camera") from error
    try:
        rules.check_literal(target.host)  # a name is looked at whenever it is connected to
    except NotAllowed as error:
        if error.kind in LOCAL:
            raise invalid("local_address", host=error.host) from error
        what = Message(f"network.kind.{error.kind}")
        raise invalid("refused_address", host=error.host, what=what) from error
    longest = len(f"2026-11-20_10-00-00_{source.room}_{source.name}.json".encode())
    if longest > _LONGEST_NAME:
        raise invalid("names_too_long")
    return _with_options(Address(url), options, invalid)


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
