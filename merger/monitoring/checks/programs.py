"""The programs that the service starts: ffmpeg, what it encodes with, and setpriv."""

from __future__ import annotations

import re
from collections.abc import Iterator

from merger.config import Settings
from merger.errors import MergerError
from merger.i18n import Message, sentences
from merger.isolation import confinement, landlock, reader, trial
from merger.isolation.reader import Unreadable
from merger.monitoring.findings import Finding
from merger.render import ffmpeg
from merger.render.ffmpeg import Tool
from merger.timeline import profiles
from merger.timeline.profiles import DEFAULT_PROFILE, Profile, candidates

OLDEST_FFMPEG = (5, 1)
OLDEST_LINUX = "5.13"  # that has Landlock


def look_at_ffmpeg(settings: Settings) -> Iterator[Finding]:
    tool = ffmpeg.find_tool(settings.ffmpeg or None)
    # Builds from its repository are named after a commit, and new enough.
    version = re.match(r"n?(\d+)\.(\d+)", tool.version)
    if version and (int(version[1]), int(version[2])) < OLDEST_FFMPEG:
        message = Message(
            "monitoring.ffmpeg_old", path=tool.path, version=tool.version,
            oldest=".".join(map(str, OLDEST_FFMPEG)),
        )  # fmt: skip
        yield Finding("ffmpeg", "broken", message)
        return
    message = Message("monitoring.ffmpeg", version=tool.version, path=tool.path)
    yield Finding("ffmpeg", "ok", message)
    by_codec: dict[str, list[Profile]] = {}
    for profile in profiles.PROFILES.values():
        by_codec.setdefault(profile.codec, []).append(profile)
    for group in by_codec.values():
        yield _encoder(tool, group, settings.encoder)


def _encoder(tool: Tool, group: list[Profile], choice: str) -> Finding:
    """Return how the profiles of one codec are encoded, and why not otherwise."""
    names = [member.name for member in group]
    what = f"encoder for {', '.join(names)}"
    profile = group[0]
    try:
        encoder, notes = ffmpeg.choose_encoder(tool, profile, choice)
    except MergerError as error:
        return Finding(what, "broken" if DEFAULT_PROFILE in names else "warning", error.message)
    if notes:
        advice = Message("monitoring.encoder_driver")
        return Finding(what, "warning", sentences([*notes, advice]))
    if encoder.hardware is None:
        message = Message("monitoring.encoder_software", name=encoder.name)
        failing = [
            Message("monitoring.encoder_fails", name=other.name)
            for other in candidates(profile)
            if other.hardware and choice != "software"
            if ffmpeg.why_refused(tool, other)
        ]
        return Finding(what, "ok", sentences([message, *failing]))
    # When the hardware gives up in the middle, all is encoded again in software.
    if why := ffmpeg.why_refused(tool, profiles.software(profile)):
        message = Message("monitoring.encoder_alone", name=encoder.name, why=why)
        return Finding(what, "warning", message)
    return Finding(what, "ok", Message("monitoring.encoder_hardware", name=encoder.name))


def look_at_setpriv() -> Iterator[Finding]:
    if confinement.dying_with_parent():
        yield Finding("setpriv", "ok", Message("monitoring.setpriv"))
    else:
        yield Finding("setpriv", "warning", Message("monitoring.setpriv_missing"))


def look_at_reading() -> Iterator[Finding]:
    """Look at what reads the words of slides: chapters are made without it, too."""
    from merger.analysis.words import networks, tesseract  # OpenCV, which nothing else here needs

    reads = "all" if tesseract.languages() else "no_cyrillic"
    key = f"monitoring.reading_{reads}" if networks.are_there() else "monitoring.reading_none"
    yield Finding("reading of slides", "ok", Message(key))


def look_at_confinement() -> Iterator[Finding]:
    """Try what is open to whatever decodes media from outside."""
    if not confinement.is_wanted():
        yield Finding("confinement", "warning", Message("monitoring.confinement_off"))
        return
    try:
        escapes = reader.call(trial.escapes)
    except Unreadable as error:
        message = Message("monitoring.not_looked_at", why=error.message)
        yield Finding("confinement", "broken", message)
        return
    if escapes:
        open_to = tuple(Message(f"monitoring.escape.{name}") for name in escapes)
        message = Message("monitoring.not_confined", escapes=open_to, oldest=OLDEST_LINUX)
        yield Finding("confinement", "warning", message)
    else:
        message = Message("monitoring.confined", abi=landlock.abi())
        yield Finding("confinement", "ok", message)
