"""Asks for the addresses of a host, once, and checks all of them."""

from __future__ import annotations

import socket

from merger.network.addresses import Rules


def allowed_addresses(host: str, port: int, rules: Rules) -> list[str]:
    """Return the addresses of a host, all of which are allowed.

    Raises:
        NotAllowed: one of them is not.
        OSError, UnicodeError: the name is not known now, or cannot be one.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    rules.check(host.lower().rstrip("."), addresses)
    return addresses
