"""The kinds of recorders, by the name that a source's `kind` has in the tables."""

from __future__ import annotations

from collections.abc import Mapping

from merger.errors import Invalid, did_you_mean
from recorders.base import Recorder
from recorders.drive.source import Drive
from recorders.folder.source import Folder
from recorders.rtsp.source import Rtsp
from recorders.testing.testpattern import Pattern
from recorders.zoom.api import Account
from recorders.zoom.source import Zoom


def kinds(
    ffmpeg: str | None = None,
    zoom: Account | None = None,
    rtsp: Rtsp | None = None,
    drive: Drive | None = None,
) -> dict[str, Recorder]:
    """Return a recorder of every kind.

    ffmpeg: None for the one that a package carries; zoom: None for one without credentials;
    rtsp: None where nothing is recorded here; drive: None for one without credentials.
    """
    return {
        "drive": drive or Drive(),
        "folder": Folder(),
        "rtsp": rtsp or Rtsp(),
        "testpattern": Pattern(tool=ffmpeg),
        "zoom": Zoom(zoom or Account()),
    }


def recorder_of(recorders: Mapping[str, Recorder], kind: str) -> Recorder:
    """Return the recorder of a kind. Raises Invalid for one that does not exist."""
    if kind not in recorders:
        hint = did_you_mean(kind, sorted(recorders))
        raise Invalid("kind", "recorders.no_kind", kind=kind, hint=hint)
    return recorders[kind]
