"""What ffmpeg's commands have in common, and the one that joins. Pure: values in, arguments out.

No text ever enters a command but our own names: files of others are absolute paths behind `-i`.
"""

from __future__ import annotations

from typing import Any

from merger.timeline.media import MAX_PIXELS
from merger.timeline.specs import Input

# -copyts keeps each file's own timestamps, which are what the wall clock is computed from.
GLOBAL_OPTIONS = ("-hide_banner", "-nostdin", "-y", "-copyts")


def input_options(source: Input) -> dict[str, Any]:
    """Return the options by which ffmpeg opens a media file, for ffmpeg-python."""
    options: dict[str, Any] = {
        "f": source.demuxer,
        "protocol_whitelist": "file",
        "max_pixels": MAX_PIXELS,
        "noaccurate_seek": None,  # the graph trims by the file's own timestamps
    }
    if source.seek_us is not None:
        options |= {"seek_timestamp": 1, "ss": f"{source.seek_us}us"}
    return options


def join_command(
    listing: str, sound: str, output: str, index: tuple[str, str], chapters: str | None = None
) -> list[str]:
    """Return the arguments that join parts and sound by stream copy.

    Args:
        listing, sound: names in the folder in which the command runs; the listing holds relative
            names only, which `-safe 1` enforces.
        index: the option that puts the MP4's index in front.
        chapters: a file of metadata with them, in that folder, too.
    """
    named = ["-protocol_whitelist", "file", "-f", "ffmetadata", "-i", chapters] if chapters else []
    return [
        "-hide_banner", "-nostdin", "-y",
        "-protocol_whitelist", "file", "-f", "concat", "-safe", "1", "-i", listing,
        "-protocol_whitelist", "file", "-f", "mov", "-i", sound,
        *named,
        "-map", "0:v", "-map", "1:a", "-c", "copy",
        "-map_metadata:g", "-1", "-map_metadata:s", "-1",  # those of chapters are their names
        "-map_chapters", "2" if chapters else "-1",
        *index, "-f", "mp4", output,
    ]  # fmt: skip
