"""Hosts that we connect to because somebody wrote them into a form: resolved, checked, pinned."""

from __future__ import annotations

import ipaddress
import socket

from merger.errors import Refused, Temporary


def is_forbidden(address: str) -> bool:
    """Return whether an address is of this machine, of its link, or of nobody.

    What answers there (a database, a cloud's metadata service) trusts who is that near.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast


def forbidden_reason(host: str) -> Refused:
    """Return the error of a host that is not connected to."""
    return Refused("address", "recorders.rtsp.local_host", host=host)


def resolve(host: str, port: int, *, allow_local: bool) -> str:
    """Return the one address of a host that is to be connected to, as its name says now.

    Raises Temporary where the name is not known now, Refused where it leads to this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Temporary("host", "recorders.rtsp.no_host", host=host, why=why) from error
    addresses = [str(address[0]) for *_, address in found]
    if not allow_local and any(is_forbidden(address) for address in addresses):
        raise forbidden_reason(host)
    return addresses[0]
