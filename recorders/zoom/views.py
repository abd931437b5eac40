"""Which views of a meeting Zoom has recorded, and which of them stand left and right. Pure.

AS active speaker, GV gallery, SS shared screen, SP shared screen with the speaker, SG shared screen
with the gallery. The table is the whole decision; a view that Zoom invents tomorrow is none yet.
"""

from __future__ import annotations

import re
from collections.abc import Collection

# By the name that Zoom gives as recording_type, without what stands in brackets: "(CC)".
# https://developers.zoom.us/docs/api/meetings/ lists some of them, and calls the list open.
VIEWS = {
    "active_speaker": "AS",
    "speaker_view": "AS",  # as older recordings have it
    "gallery_view": "GV",
    "shared_screen": "SS",
    "shared_screen_with_speaker_view": "SP",
    "shared_screen_with_gallery_view": "SG",
}

# The views that there are: what stands left/right.
PAIRS = {
    "AS": "AS", "GV": "GV", "SS": "SS", "SP": "SP", "SG": "SG",

    "AS GV": "AS/GV", "AS SS": "AS/SS", "AS SP": "AS/SP", "AS SG": "AS/SG", "GV SS": "SS/GV",
    "GV SP": "SP/GV", "GV SG": "SG/GV", "SS SP": "SP/SS", "SS SG": "SS/SG", "SP SG": "SP/SG",

    "AS GV SS": "AS/SS", "AS GV SP": "AS/GV", "AS GV SG": "AS/GV", "AS SS SP": "AS/SS",
    "AS SS SG": "AS/SS", "AS SP SG": "AS/SG", "GV SS SP": "SP/SS", "GV SS SG": "SS/SG",
    "GV SP SG": "SP/SG", "SS SP SG": "SP/SS",

    "AS GV SS SP": "AS/SS", "AS GV SS SG": "AS/SS", "AS GV SP SG": "AS/GV",
    "AS SS SP SG": "AS/SS", "GV SS SP SG": "SP/SS",

    "AS GV SS SP SG": "AS/SS",
}  # fmt: skip

ARCHIVED = ("AS", "SS", "GV", "SG", "SP")
_ORDER = ("AS", "GV", "SS", "SP", "SG")
_SHARED = ("SS", "SP", "SG")
_IN_BRACKETS = re.compile(r"\s*\(.*\)\s*$")


def view_of(recording_type: str) -> str | None:
    """Return the view that a recording_type names, or None for what is no picture of a meeting."""
    name = _IN_BRACKETS.sub("", recording_type).strip().lower()
    return VIEWS.get(re.sub(r"[\s-]+", "_", name))


def order_of(view: str | None) -> int:
    """Return where a view stands in an archive; what is none yet stands last."""
    return ARCHIVED.index(view) if view in ARCHIVED else len(ARCHIVED)


def name_of_view(recording_type: str) -> str:
    """Return the name of a view, fit for a file's name: that of Zoom, or what it calls itself."""
    name = re.sub(r"\W+", "_", recording_type).strip("_").lower()[:60] or "unknown"
    view = view_of(recording_type)
    plain = next((known for known, code in VIEWS.items() if code == view), name)
    return f"{plain}_cc" if view and has_captions(recording_type) else plain


def has_captions(recording_type: str) -> bool:
    """Return whether a recording_type names a variant of a view, such as with captions in it."""
    return bool(_IN_BRACKETS.search(recording_type))


def sides_of(views: Collection[str]) -> tuple[str, str | None]:
    """Return the view for the left side, and for the right one where there are two or more.

    views: at least one, of those in VIEWS.
    """
    key = " ".join(view for view in _ORDER if view in views)
    left, _, right = PAIRS[key].partition("/")
    return left, right or None


def right_alone(views: Collection[str]) -> str | None:
    """Return the view for a right side whose left is filled by a camera; None without one.

    What is shared is what is wanted there, though beside a left side of Zoom's it would stand left.
    views: at least one, of those in VIEWS.
    """
    _, right = sides_of(views)
    shared = [view for view in _SHARED if view in views]
    if right in shared or not shared:
        return right
    left, right = sides_of(shared)
    return right or left
