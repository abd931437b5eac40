"""Named places between side effects, where tests make the program crash. Nothing in production."""

from __future__ import annotations

from collections.abc import Callable


def _nothing(name: str) -> None:
    pass


hook: Callable[[str], None] = _nothing


def failpoint(name: str) -> None:
    """Tell the hook that what was before this place is done, and what comes after is not."""
    hook(name)
