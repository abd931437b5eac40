"""Kind `testpattern`: films the clock, for trying an installation without cameras.

The address is `testpattern:`, or with settings such as
`testpattern:?size=320x180&rate=5&segment=30m&lost=1&pitch=440&code=1`:

size     of the picture, 64x36 to 1920x1080, even                    320x180
rate     pictures in a second, 1 to 60                               5
segment  how long a file is, 1s to 30m; the first begins at the
         local midnight                                              30m
lost     leaves out that file of every day, counted from 1           0: none
pitch    of the beep at every whole second, in Hz; 0: no sound       440 where there is to be sound
code     tells sources apart in the pictures' code, 0 to 7           by the role

A file can be had as soon as it is over. Nothing of it exists before somebody collects it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import cv2

from merger.errors import Broken, Refused, did_you_mean
from merger.failpoints import failpoint
from merger.i18n import Message, Param
from merger.isolation.reader import Unreadable
from merger.media.index import read_media
from merger.media.sidecar import sidecar_bytes
from merger.ports.recorder import Probe
from merger.render import ffmpeg
from merger.storage.copying import sha256_of
from merger.storage.disk_space import require_space
from merger.timeline.clock import Span
from merger.timeline.zones import half_hour_chunks, length_from
from recorders.base import (
    Collected,
    Found,
    Item,
    SourceOfRoom,
    collect_each,
    invalid_source,
    publish_media,
    refuse_credentials,
    stop_if,
    work_folder,
)
from recorders.testing.clock import Picture, plain, write_segment

_NAMES = ("size", "rate", "segment", "lost", "pitch", "code")
_CODES = {"speaker": 1, "screen": 2, "board": 3, "audio": 4}
_LEVELS = {"speaker": 90, "board": 60}
_HEARD = ("speaker", "audio")
_SAMPLE_RATE = 16_000
_LONGEST = timedelta(minutes=30)  # the service waits for the half hour after a record's end
_DAY_AND_MORE = timedelta(hours=25)  # no cell of the grid is cut by its edges then
_PROBE_BYTES = 1 << 20


@dataclass(frozen=True)
class _Settings:
    """What an address asks for."""

    width: int
    height: int
    rate: int
    segment: timedelta
    lost: int
    pitch: int
    code: int
    role: str

    @property
    def text(self) -> str:
        """All that the content of a file depends on, but its time."""
        sound = f"{self.pitch}Hz" if self.pitch else "mute"
        return f"{self.width}x{self.height}-{self.rate}-{sound}-{self.code}-{self.role}"


@dataclass(frozen=True)
class Pattern:
    """A source that is computed; tool: an ffmpeg other than the one that a package carries."""

    settle: timedelta = timedelta()
    tool: str | None = None

    def check(self, source: SourceOfRoom) -> None:
        """Raise Invalid where the address makes no sense."""
        _settings(source)
        self.check_credentials(source)

    def check_credentials(self, source: SourceOfRoom) -> None:
        """Raise Invalid where there are any."""
        refuse_credentials(source)

    def probe(self, source: SourceOfRoom, now: datetime, within: timedelta) -> Probe:
        """Return that there is nothing to look for. Raises Invalid."""
        _settings(source)
        return Probe(Message("recorders.pattern.needs_nothing"))

    def find(self, source: SourceOfRoom, span: Span, now: datetime) -> Found:
        """Return the files of a span that have begun; one that is not over is still growing.

        size_bytes is a guess: nothing has been filmed yet.
        """
        settings = _settings(source)
        items = tuple(
            Item(
                origin=f"{cell.start:%Y-%m-%dT%H-%M-%SZ}.mp4",
                fingerprint=f"{settings.text}-{cell.length // timedelta(seconds=1)}s",
                start=cell.start,
                end=cell.end,
                size_bytes=_estimate_bytes(settings, cell.length),
                settled=cell.end <= now,
            )
            for cell in _cells(settings, source, span)
            if cell.start <= now
        )
        return Found(items, now < span.end or not all(item.settled for item in items))

    def collect(
        self,
        source: SourceOfRoom,
        span: Span,
        into: Path,
        now: datetime,
        cancelled: Callable[[], bool],
    ) -> list[Collected]:
        """Film what is over and not there yet."""
        settings = _settings(source)

        def film_to(item: Item, final: Path) -> None:
            if not final.exists():
                _film(settings, item, final, self.tool, cancelled)

        items = self.find(source, span, now).items
        return collect_each(
            source, into, ((item, "mp4", partial(film_to, item)) for item in items), cancelled
        )


def _film(
    settings: _Settings, item: Item, final: Path, tool: str | None, cancelled: Callable[[], bool]
) -> None:
    assert item.end is not None
    picture = _picture(settings)

    def ground(_: datetime) -> Picture:
        stop_if(cancelled)
        return picture

    require_space(final.parent, item.size_bytes, item.origin)
    with work_folder(final.parent) as work:
        partial = work / final.name
        length = item.end - item.start
        frames = length // timedelta(seconds=1) * settings.rate
        try:
            write_segment(
                ffmpeg.find_tool(tool).path, partial, item.start, length,
                ground=ground, source=settings.code, rate=Fraction(settings.rate),
                pitch_hz=settings.pitch or None, sample_rate=_SAMPLE_RATE,
                codec=("-c:v", "libx264", "-preset", "ultrafast", "-g", str(2 * settings.rate)),
                options=("-c:a", "aac", "-b:a", "32k"),
            )  # fmt: skip
            if len(read_media(partial).picture_us) != frames:
                # The exit code is no evidence.
                raise RuntimeError(f"{item.origin}: there should be {frames} pictures")
        except (RuntimeError, BrokenPipeError, FileNotFoundError, Unreadable) as error:
            # The encoder does not say why it ended; the disk says whether it was full.
            (work / "probe").write_bytes(bytes(_PROBE_BYTES))
            raise Broken("ffmpeg", "recorders.pattern.not_filmed", why=str(error)) from error
        # The cache knows files by the time of their change: filmed again, it is the same file.
        ended_ns = int(item.end.timestamp()) * 1_000_000_000
        os.utime(partial, ns=(ended_ns, ended_ns))
        sha256 = sha256_of(partial, lambda: stop_if(cancelled))
        failpoint("recorder.copied")
        publish_media(partial, sidecar_bytes(item.start, item.end, sha256), final)


def _picture(settings: _Settings) -> Picture:
    """Return what is filmed: a slide for the screen, else one colour."""
    width, height = settings.width, settings.height
    picture = plain(width, height, _LEVELS.get(settings.role, 90))
    if settings.role != "screen":
        return picture
    picture[:] = 250
    left = round(height * 0.11)
    for text, down, size, ink in (
        ("Test pattern", 0.38, 0.1, (130, 60, 20)),
        ("no camera is connected", 0.55, 0.066, (50, 50, 50)),
        ("every picture shows its time", 0.68, 0.066, (50, 50, 50)),
    ):
        at = (left, round(height * down))
        cv2.putText(picture, text, at, ink, cv2.FontFace("sans"), round(height * size), 500)
    rule = round(height * 0.43)
    cv2.line(picture, (left, rule), (width - left, rule), (200, 160, 120), max(1, height // 180))
    return picture


def _cells(settings: _Settings, source: SourceOfRoom, span: Span) -> list[Span]:
    """Return the files of a span, whole, without the lost one of each day."""
    surroundings = Span(span.start - _DAY_AND_MORE, span.end + _DAY_AND_MORE)
    cells = []
    for cell in half_hour_chunks(surroundings, settings.segment, source.zone):
        day = cell.start.astimezone(source.zone).date()
        midnight = datetime.combine(day, time(), source.zone).astimezone(UTC)
        number = (cell.start - midnight) // settings.segment + 1
        if cell.start < span.end and cell.end > span.start and number != settings.lost:
            cells.append(cell)
    return cells


def _estimate_bytes(settings: _Settings, length: timedelta) -> int:
    seconds = length // timedelta(seconds=1)
    pixels = settings.width * settings.height * settings.rate
    return seconds * (pixels // 500 + 8_000)


class _BadSetting(Exception):
    """An address that cannot be used, and why."""

    def __init__(self, key: str, /, **params: Param) -> None:
        super().__init__(key)
        self.why = Message(f"recorders.pattern.{key}", **params)


def _settings(source: SourceOfRoom) -> _Settings:
    """Return what an address says. Raises Invalid with what to write instead."""
    try:
        return _parse(source.address, source.role)
    except _BadSetting as bad:
        key, address = "recorders.pattern.address", source.address
        raise invalid_source(source, "address", key, address=address, problem=bad.why) from bad


def _parse(address: str, role: str) -> _Settings:
    try:
        parts = urlsplit(address)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise _BadSetting("form") from error
    if parts.scheme != "testpattern" or parts.netloc or parts.path or parts.fragment:
        raise _BadSetting("form")
    values = dict(pairs)
    for name in values:
        if name not in _NAMES:
            hint = did_you_mean(name, sorted(_NAMES))
            raise _BadSetting("unknown_setting", setting=name, hint=hint)
    if len(values) != len(pairs):
        raise _BadSetting("setting_twice")
    width, height = _size(values.get("size", "320x180"))
    return _Settings(
        width=width,
        height=height,
        rate=_number("rate", values.get("rate", "5"), 1, 60),
        segment=_segment(values.get("segment", "30m")),
        lost=_number("lost", values.get("lost", "0"), 0, 90_000),
        pitch=_pitch(values.get("pitch", "440" if role in _HEARD else "0")),
        code=_number("code", values.get("code", str(_CODES.get(role, 0))), 0, 7),
        role=role,
    )


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{2,4})x([0-9]{2,4})", text)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (64 <= width <= 1920 and 36 <= height <= 1080) or width % 2 or height % 2:
        raise _BadSetting("size", text=text)
    return width, height


def _segment(text: str) -> timedelta:
    try:
        length = length_from(text, "segment")
    except Refused as error:
        raise _BadSetting("segment", problem=error.message) from error
    if length > _LONGEST:
        raise _BadSetting("segment_too_long", text=text)
    return length


def _pitch(text: str) -> int:
    pitch = _number("pitch", text, 0, 7_000)
    if 0 < pitch < 50:
        raise _BadSetting("pitch", text=text)
    return pitch


def _number(name: str, text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise _BadSetting("number", setting=name, text=text, least=least, most=most)
    return int(text)
