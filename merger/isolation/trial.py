"""A trial whether a reader is confined: what it can do, which no version of a system tells."""

from __future__ import annotations

import os
import socket
from typing import Literal

Escape = Literal["files", "network"]


def escapes() -> list[Escape]:
    """Return what is open to whatever decodes, and should not be; runs in a reader."""
    found: list[Escape] = []
    try:
        os.listdir("/")  # noqa: PTH208
        found.append("files")
    except PermissionError:
        pass
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
        found.append("network")
    except PermissionError:
        pass
    return found
