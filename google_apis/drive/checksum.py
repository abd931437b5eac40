"""The MD5 of a file, to compare with the one that Drive reports."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

_BLOCK = 4 * 1024 * 1024


def md5_of(path: Path, check: Callable[[], None]) -> str:
    """Return the MD5 of a file in hexadecimal. check: called between blocks, to stop."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            check()
            digest.update(block)
    return digest.hexdigest()
