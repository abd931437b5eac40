"""The kinds of recorders, by the name that a source's `kind` has in the tables."""

from __future__ import annotations

from merger.errors import Refused
from recorders.base import Recorder, suggestion
from recorders.folder import Folder
from recorders.testpattern import Pattern

KINDS: dict[str, Recorder] = {
    "folder": Folder(),
    "testpattern": Pattern(),
}


def recorder_of(kind: str) -> Recorder:
    """Return the recorder of a kind. Raises Refused for one that does not exist."""
    if kind not in KINDS:
        raise Refused("kind", f"there is no kind {kind!r} of source; {suggestion(kind, KINDS)}")
    return KINDS[kind]
