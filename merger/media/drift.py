"""How fast the clock of a recorder runs: its sidecar says when a file began and ended."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

from merger.i18n import Message
from merger.media.sidecar import Sidecar
from merger.timeline.clock import microseconds
from merger.timeline.media import PAUSE_US, STILL_US, MediaFile

# A clock that is off by more than this is none: the file was cut off, or the sidecar is wrong.
LARGEST_DRIFT = Fraction(5, 100)
SURPRISING_DRIFT = Fraction(1, 1000)  # quartz clocks are a tenth of this off
_ROUNDING_US = 2_000  # of timestamps in milliseconds, as Matroska has them, at both ends


def clock_rate(
    path: Path, name: str, sidecar: Sidecar, media: MediaFile
) -> tuple[Fraction, Message | None]:
    """Return how many seconds of wall clock a second of a file is, and what is wrong with it.

    One, unless a clock drifts.

    Args:
        name: of the file, as people know it.
    """
    if not (sidecar.start and sidecar.end and media.length_us > 0):
        return Fraction(1), None
    wall_us = microseconds(sidecar.end - sidecar.start)
    length_us = measured_us(media, wall_us)
    measured, missing_us = Fraction(wall_us, length_us), wall_us - length_us
    coarse_us = microseconds(sidecar.exact_to)
    if abs(missing_us) <= _ROUNDING_US + 2 * coarse_us:  # at both ends
        return Fraction(1), None
    was_cut = _was_cut(path, sidecar, measured)
    if not was_cut and _stands_still(sidecar, media, measured, missing_us):
        return Fraction(1), None
    is_no_clock = coarse_us > 0 or measured - 1 >= SURPRISING_DRIFT
    was_paused = missing_us > PAUSE_US + coarse_us and is_no_clock
    if not (was_cut or was_paused) and (coarse_us or abs(measured - 1) <= LARGEST_DRIFT):
        # What was read with complaints, or is told to a second only, measures no clock.
        return Fraction(1) if coarse_us or media.complaints else measured, None
    return Fraction(1), _no_drift(name, length_us, wall_us)


def _no_drift(name: str, length_us: int, wall_us: int) -> Message:
    """Return that a file is not as long as it should be, though no clock has drifted."""
    seconds, sidecar_seconds = round(length_us / 1e6, 1), round(wall_us / 1e6, 1)
    if length_us > wall_us:
        return Message(
            "media.no_drift", file=name, seconds=seconds, sidecar_seconds=sidecar_seconds
        )
    missing = round((wall_us - length_us) / 1e6, 1)
    return Message("media.shorter", file=name, seconds=seconds, missing=missing)


def _was_cut(path: Path, sidecar: Sidecar, measured: Fraction) -> bool:
    """Return whether a file is not the one that its sidecar was written for.

    Reading a file for its hash costs time, so only a drift that no clock has is a reason for it.
    """
    if sidecar.sha256 is None or abs(measured - 1) < SURPRISING_DRIFT:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() != sidecar.sha256.lower()


def _stands_still(sidecar: Sidecar, media: MediaFile, measured: Fraction, missing_us: int) -> bool:
    """Return whether a file ends before its sidecar does because its last picture stood till then.

    So it is with a screen that sends pictures when they change. No quartz clock drifts like that.
    Its sound would have gone on, though, and no picture is believed to stand for ever.
    """
    if media.video is None or not media.video.variable_rate or media.complaints:
        return False
    if measured - 1 < SURPRISING_DRIFT or missing_us > (PAUSE_US if media.sound else STILL_US):
        return False
    return measured - 1 <= LARGEST_DRIFT or sidecar.sha256 is not None


def measured_us(media: MediaFile, wall_us: int) -> int:
    """Return the length of a file that the end in its sidecar is about: that of its pictures.

    Sound may go on behind them. A screen that stood still at the end was filmed as long as its
    sound, or its own table, says, though, and a file without pictures is its sound.
    """
    whole_us, pictures_us = media.ends_us - media.zero_us, media.picture_ends_us - media.zero_us
    if not len(media.picture_us) or pictures_us <= 0:
        return whole_us
    if media.video is not None and media.video.variable_rate:
        return min(pictures_us, whole_us, key=lambda length_us: abs(length_us - wall_us))
    is_drift = abs(Fraction(wall_us, pictures_us) - 1) < SURPRISING_DRIFT
    is_whole = abs(Fraction(wall_us, whole_us) - 1) < SURPRISING_DRIFT
    return whole_us if is_whole and not is_drift else pictures_us
