"""The supervisor of live sources: starts a process for each that is wanted, and watches its media.

It judges by what comes, not by whether the process lives: a camera that hangs sends nothing. Who
plugs it in says what is wanted, and keeps what it tells.
"""

from __future__ import annotations

import fcntl
import logging
import os
import random
import time
from base64 import b64decode
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from merger.bookings import Booking, Camera
from merger.errors import MergerError, Refused
from merger.media_signs import Sign
from merger.storage import make_folder, writing_to
from recorders.lane import MOST_OUTAGES, Lane, Patience
from recorders.live_child import Child, Finisher
from recorders.recordings import folder_of, now_utc, raw_files
from recorders.rtsp import Address, address_of
from recorders.wanted import Wanted, pause_s, wanted

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0  # into the tables
_TICK_S = 0.1
_SIGN_EVERY_S = 5.0
_SHORTEST_OUTAGE = timedelta(seconds=2)
_MOST_COMPLAINTS = 20  # lines of one process
_FINISHES_WITHIN_S = 60.0  # when we are to stop
_LOOK_TRIES = 2


@dataclass(frozen=True)
class Surroundings:
    """What a recorder is plugged into. Each may raise MergerError, and is asked again then."""

    recorded: Path
    cameras: Callable[[], Iterable[Camera]]
    bookings: Callable[[datetime], Iterable[Booking]]
    tell: Callable[[Iterable[int], datetime, str, str], None]
    keep_picture: Callable[[int, datetime, bytes], None]
    give_sign: Callable[[int, Sign | None], None]
    allow_local: bool = False
    grid_s: int = 1800
    patience: Patience = field(default_factory=Patience)


@dataclass
class Recorder:
    """All live sources."""

    around: Surroundings
    lanes: dict[int, Lane] = field(default_factory=dict)
    _cameras: list[tuple[Camera, Address]] = field(default_factory=list)
    _bookings: list[Booking] = field(default_factory=list)
    _looked_s: float = float("-inf")
    _told: str = ""
    _refused: set[tuple[int, str]] = field(default_factory=set)
    _untold: list[tuple[tuple[int, ...], datetime, str, str]] = field(default_factory=list)
    _finisher: Finisher = field(default_factory=Finisher)
    _signed_s: float = float("-inf")
    _unlocked: dict[int, str] = field(default_factory=dict)  # why a source has no lock
    _has_begun: bool = False
    _why_not_begun: str = ""

    def tick(self, now: datetime) -> None:
        """Look once at everything."""
        if not self._has_begun:
            self._begin()
        self._look_into_tables(now)
        now_wanted = wanted(now, self._cameras, self._bookings)
        for number, one in now_wanted.items():
            self._want(number, one, now)
        for number, lane in list(self.lanes.items()):
            try:
                self._watch(lane, now, is_wanted=number in now_wanted)
                if number not in now_wanted:
                    self._let_go(number, lane, now)
            except MergerError as error:
                log.warning("%s: %s", lane.name, error.message)
                lane.failures += 1
                lane.again_s = time.monotonic() + pause_s(lane.failures, random.random())
        self._finisher.go_on()
        self._tell_again()
        self._give_signs(now)

    def _begin(self) -> None:
        """Finish what an earlier recorder was killed over, as soon as the folder is there."""
        recorded = self.around.recorded
        try:
            make_folder(recorded, "the folder for recordings in MERGER_DATA")
            with writing_to(recorded):
                for folder in recorded.iterdir():
                    if raw_files(folder):
                        self._finisher.add(folder)
        except MergerError as error:
            if error.message != self._why_not_begun:
                log.error("nothing is recorded: %s", error.message)
            self._why_not_begun = error.message
            return
        self._has_begun = True

    def _look_into_tables(self, now: datetime) -> None:
        if time.monotonic() - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = time.monotonic()
        try:
            cameras = list(self.around.cameras())
            self._bookings = list(self.around.bookings(now))
            self._told = ""
        except MergerError as error:  # what is wanted is known from before
            if error.message != self._told:
                log.warning("%s; the recorder goes on with what it knows", error.message)
            self._told = error.message
            return
        self._cameras = []
        for camera in cameras:
            try:
                address = address_of(camera.source, allow_local=self.around.allow_local)
            except Refused as error:
                if (camera.id, error.message) not in self._refused:
                    log.error("room %r: %s", camera.source.room, error.message)
                self._refused.add((camera.id, error.message))
                continue
            self._cameras.append((camera, address))

    def _want(self, number: int, one: Wanted, now: datetime) -> None:
        lane = self.lanes.get(number)
        if lane is None:
            source = one.camera.source
            folder = folder_of(self.around.recorded, number)
            try:
                lock = _lock(folder)
            except MergerError as error:
                if error.message != self._unlocked.get(number):  # it is asked again at once
                    log.warning("source %r: %s", source.name, error.message)
                self._unlocked[number] = error.message
                return
            self._unlocked.pop(number, None)
            if lock is None:
                return  # another recorder has it
            self.lanes[number] = Lane(one, folder, lock, now)
            if raw_files(folder):
                self._finisher.add(folder)
            return
        before, lane.wanted = lane.wanted, one
        changed = (before.camera, before.address.url) != (one.camera, one.address.url)
        begins = one.is_recorded and not before.is_recorded
        if begins:
            lane.since, lane.again_s, lane.failures, lane.looks = now, 0.0, 0, 0
        if lane.child and (changed or lane.child.job.look == one.is_recorded):
            lane.child.stop()

    def _watch(self, lane: Lane, now: datetime, *, is_wanted: bool) -> None:
        """See what came, end what hangs, start what is due."""
        if lane.child is not None:
            self._hear(lane, now)
        child, now_s = lane.child, time.monotonic()
        if child is not None and child.has_ended:
            self._hear(lane, now)  # its last words
            self._ended(lane, child, now, is_wanted=is_wanted)
            child = None
        if child is not None and (why := lane.silence(self.around.patience, now_s)):
            lane.ended_for = why
            child.kill()
            return
        if not is_wanted:
            return
        is_due = lane.wanted.is_recorded or self._is_to_be_looked_at(lane)
        if child is None and is_due and now_s >= lane.again_s:
            lane.begin(grid_s=self.around.grid_s, allow_local=self.around.allow_local)
        self._tell_silence_before(lane, now)

    def _hear(self, lane: Lane, now: datetime) -> None:
        assert lane.child is not None
        for said in lane.child.said():
            if "bytes" in said:
                self._media(lane, said, now)
            if "picture" in said:
                with suppress(MergerError):
                    self.around.keep_picture(
                        lane.wanted.camera.id, now_utc(said["at_us"]), b64decode(said["picture"])
                    )
            if "closed" in said:
                self._finisher.add(lane.folder)
            if "ended" in said:
                lane.why, lane.ended_as = said["text"], said["ended"]
                if said["ended"] == "seen":
                    lane.looked.update(lane.wanted.soon)
                    lane.looks = 0
                elif said.get("never"):
                    lane.failures = max(lane.failures, 10)  # nobody is locked out by trying
        for line in lane.child.complained():
            lane.complaints += 1
            if lane.complaints <= _MOST_COMPLAINTS:
                log.info("%s: %s", lane.name, line)

    def _media(self, lane: Lane, said: dict[str, Any], now: datetime) -> None:
        at, now_s = now_utc(said["at_us"]), time.monotonic()
        if said["key_us"] != lane.key_us:
            lane.key_us, lane.key_s = said["key_us"], now_s
        if lane.media_at is not None and at <= lane.media_at and lane.came_s is not None:
            return
        if lane.lost_at is not None:
            self._tell_outage(lane, now_utc(said["key_us"]), now)
        lane.media_at, lane.came_s = at, now_s
        lane.looked.update(lane.wanted.soon)
        # One that comes and goes gives what it has: to wait longer each time would lose most of it.
        lane.failures = lane.looks = 0

    def _ended(self, lane: Lane, child: Child, now: datetime, *, is_wanted: bool) -> None:
        code = child.process.returncode
        if code < 0:
            lane.why = lane.ended_for or "what recorded it was killed"
        child.forget()
        lane.child = None
        self._finisher.add(lane.folder)
        if child.job.look:
            lane.looks += code != 0
            lane.again_s = time.monotonic() + (pause_s(lane.looks, random.random()) if code else 0)
            return
        if code == 0 or not (is_wanted and lane.wanted.is_recorded):
            return
        if lane.lost_at is None or lane.lost_by != lane.ended_as:
            log.warning("%s: no media: %s", lane.name, lane.why)
            lane.lost_by = lane.ended_as
            if lane.ended_as == "disk_full":  # nobody has to wait for its end to hear of that
                self._tell_full_disk(lane, now)
        lane.lost_at = lane.lost_at or lane.heard_until
        lane.concerned = tuple(dict.fromkeys((*lane.concerned, *lane.wanted.records)))
        lane.failures += 1
        lane.again_s = time.monotonic() + pause_s(lane.failures, random.random())

    def _is_to_be_looked_at(self, lane: Lane) -> bool:
        return bool(set(lane.wanted.soon) - lane.looked)

    def _tell_silence_before(self, lane: Lane, now: datetime) -> None:
        """Tell of a source that is silent though a lecture begins soon."""
        silent = lane.lost_at is not None or lane.looks >= _LOOK_TRIES
        due = tuple(record for record in lane.wanted.soon if record not in lane.looked)
        if due and silent:
            text = (
                f"{lane.wanted.camera.source.name} is silent, and a lecture begins soon: {lane.why}"
            )
            log.warning("%s: silent before record %s: %s", lane.name, due, lane.why)
            self._tell(due, now, "silent", text)
            lane.looked.update(due)

    def _tell_outage(self, lane: Lane, until: datetime, now: datetime) -> None:
        since, lane.lost_at = lane.lost_at, None
        records, lane.concerned = lane.concerned, ()
        assert since is not None
        if until - since < _SHORTEST_OUTAGE:
            return
        zone = lane.wanted.camera.source.zone
        length = (until - since) / timedelta(seconds=1)
        text = (
            f"{lane.wanted.camera.source.name}: no media from {since.astimezone(zone):%H:%M:%S} to"
            f" {until.astimezone(zone):%H:%M:%S} ({length:.0f} s): {lane.why}"
        )
        log.warning("room %r: %s", lane.wanted.camera.source.room, text)
        told, last = lane.counted(records)
        self._tell(told, now, "outage", text)
        text = f"{lane.wanted.camera.source.name} comes and goes: more of it is in the log alone"
        self._tell(last, now, "outage", text)

    def _tell_full_disk(self, lane: Lane, now: datetime) -> None:
        told = tuple(r for r in lane.wanted.records if lane.outages[r] < MOST_OUTAGES)
        source = lane.wanted.camera.source.name
        self._tell(told, now, "disk_full", f"{source} is not recorded for now: {lane.why}")

    def _let_go(self, number: int, lane: Lane, now: datetime) -> None:
        """End what is no longer wanted."""
        if lane.child is not None and not lane.child.has_ended:
            lane.child.stop()
            return
        if lane.lost_at is not None:
            self._tell_outage(lane, now, now)
        if lane.child is None:
            self._withdraw_sign(number, lane)
            os.close(lane.lock)
            del self.lanes[number]

    def _give_signs(self, now: datetime) -> None:
        """Let others see whether media comes of what is to be recorded."""
        now_s = time.monotonic()
        if now_s - self._signed_s < _SIGN_EVERY_S:
            return
        self._signed_s = now_s
        for number, lane in self.lanes.items():
            if not lane.wanted.is_recorded:
                self._withdraw_sign(number, lane)
                continue
            lane.has_sign = True
            silent_since = lane.silent_since(self.around.patience, now_s)
            with suppress(MergerError):  # a full disk, say: then it grows old
                self.around.give_sign(number, Sign(now, silent_since))

    def _withdraw_sign(self, number: int, lane: Lane) -> None:
        if lane.has_sign:
            with suppress(MergerError):
                self.around.give_sign(number, None)
                lane.has_sign = False

    def _tell(self, records: tuple[int, ...], at: datetime, kind: str, text: str) -> None:
        if records:
            self._untold.append((records, at, kind, text))

    def _tell_again(self) -> None:
        """Tell what is to be told, as soon as the tables are there."""
        while self._untold:
            try:
                self.around.tell(*self._untold[0])
            except MergerError:
                return
            del self._untold[0]

    def end(
        self,
        now: Callable[[], datetime],
        asked: Callable[[], int],
        pause: Callable[[float], None],
    ) -> None:
        """Close all files and finish them; kill what does not end, or when asked twice."""
        until_s = time.monotonic() + _FINISHES_WITHIN_S
        while time.monotonic() < until_s and asked() < 2:
            for lane in self.lanes.values():
                if lane.child is None:
                    continue
                lane.child.stop()
                lane.child.said()
                lane.child.complained()
                if lane.child.has_ended:
                    lane.child.forget()
                    lane.child = None
                    self._finisher.add(lane.folder)
            self._finisher.go_on()
            living = [lane for lane in self.lanes.values() if lane.child]
            if not living and self._finisher.is_idle:
                break
            pause(_TICK_S)
        for number, lane in self.lanes.items():
            self._withdraw_sign(number, lane)
            if lane.child:
                lane.child.kill()
                lane.child.forget()
            if lane.lost_at is not None:
                self._tell_outage(lane, now(), now())
            os.close(lane.lock)
        self._tell_again()
        self.lanes.clear()
        self._finisher.kill()


def _lock(folder: Path) -> int | None:
    """Return the lock of a source, which ends with this process; None where another has it."""
    make_folder(folder, "the folder for recordings in MERGER_DATA")
    with writing_to(folder):
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def run(
    recorder: Recorder,
    now: Callable[[], datetime],
    asked: Callable[[], int],
    pause: Callable[[float], None],
) -> None:
    """Record what is wanted until asked to stop."""
    try:
        while not asked():
            try:
                recorder.tick(now())
            except Exception:  # the one place of the recorder: it never stops by itself
                log.exception("a mistake in this program; the recorder goes on")
            pause(_TICK_S)
    finally:
        recorder.end(now, asked, pause)
