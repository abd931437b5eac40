"""The kinds of recorders, by the name that a source's `kind` has in the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from merger.errors import Invalid, did_you_mean
from merger.lazy import LazyMapping

if TYPE_CHECKING:  # a recorder is imported by whoever has a source of its kind
    from google_apis.account import Account as GoogleAccount
    from recorders.base import Recorder
    from recorders.rtsp.source import Rtsp
    from recorders.zoom.source import Zoom

# An address of each kind, from which people see how theirs is written.
EXAMPLES: Mapping[str, str] = {
    "drive": "drive:1AbC-dEfGhIjKlMnOpQr",
    "folder": "/srv/recordings",
    "rtsp": "rtsp://10.0.5.4/stream1",
    "testpattern": "testpattern:?size=640x360",
    "zoom": "zoom:123 4567 8901",
}


def kinds(
    ffmpeg: str | None = None,
    zoom: Callable[[], Zoom] | None = None,
    rtsp: Callable[[], Rtsp] | None = None,
    drive: GoogleAccount | None = None,
) -> Mapping[str, Recorder]:
    """Return a recorder of every kind, each made when it is first looked at.

    Args:
        ffmpeg: None for the one that a package carries.
        zoom: None for an account without credentials.
        rtsp: None where nothing is recorded here.
        drive: None for an account without credentials.
    """

    def make_drive() -> Recorder:
        from recorders.drive.source import Drive

        return Drive(drive) if drive is not None else Drive()

    def make_folder() -> Recorder:
        from recorders.folder.source import Folder

        return Folder()

    def make_rtsp() -> Recorder:
        from recorders.rtsp.source import Rtsp

        return rtsp() if rtsp is not None else Rtsp()

    def make_pattern() -> Recorder:
        from recorders.testing.testpattern import Pattern

        return Pattern(tool=ffmpeg)

    def make_zoom() -> Recorder:
        from recorders.zoom.source import Zoom

        return zoom() if zoom is not None else Zoom()

    makers: dict[str, Callable[[], Recorder]] = {
        "drive": make_drive,
        "folder": make_folder,
        "rtsp": make_rtsp,
        "testpattern": make_pattern,
        "zoom": make_zoom,
    }
    return LazyMapping(makers)


def recorder_of(recorders: Mapping[str, Recorder], kind: str) -> Recorder:
    """Return the recorder of a kind. Raises Invalid for one that does not exist."""
    if kind not in recorders:
        hint = did_you_mean(kind, sorted(recorders))
        raise Invalid("kind", "recorders.no_kind", kind=kind, hint=hint)
    return recorders[kind]
