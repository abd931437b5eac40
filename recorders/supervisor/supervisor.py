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

from merger.errors import MergerError, Refused
from merger.i18n import Message
from merger.live.bookings import Booking, Camera
from merger.live.source_status import SourceSign
from merger.storage.files import make_folder, translate_write_errors
from recorders.rtsp.recordings import folder_of, from_epoch_us, raw_files
from recorders.rtsp.source import Address, address_of
from recorders.supervisor.live_source import MOST_OUTAGES, LiveSource, Patience
from recorders.supervisor.processes import Child, Finisher
from recorders.supervisor.schedule import Assignment, assignments, pause_s

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0  # into the tables
_TICK_S = 0.1
_SIGN_EVERY_S = 5.0
_SHORTEST_OUTAGE = timedelta(seconds=0.5)  # the pause before another try is longer
_MOST_COMPLAINTS = 20  # lines of one process
_FINISHES_WITHIN_S = 60.0  # when we are to stop
_LOOK_TRIES = 2


@dataclass(frozen=True)
class Wiring:
    """What the supervisor is wired to. Each may raise MergerError, and is asked again then."""

    recorded: Path
    cameras: Callable[[], Iterable[Camera]]
    bookings: Callable[[datetime], Iterable[Booking]]
    tell: Callable[[Iterable[int], datetime, str, str], None]
    keep_picture: Callable[[int, datetime, bytes], None]
    give_sign: Callable[[int, SourceSign | None], None]
    allow_local: bool = False
    grid_s: int = 1800
    patience: Patience = field(default_factory=Patience)


@dataclass
class Supervisor:
    """All live sources."""

    wiring: Wiring
    sources: dict[int, LiveSource] = field(default_factory=dict)
    _cameras: list[tuple[Camera, Address]] = field(default_factory=list)
    _bookings: list[Booking] = field(default_factory=list)
    _looked_s: float = float("-inf")
    _told: Message | None = None
    _refused: set[tuple[int, Message]] = field(default_factory=set)
    _untold: list[tuple[tuple[int, ...], datetime, str, str]] = field(default_factory=list)
    _finisher: Finisher = field(default_factory=Finisher)
    _signed_s: float = float("-inf")
    _unlocked: dict[int, Message] = field(default_factory=dict)  # why a source has no lock
    _has_begun: bool = False
    _why_not_begun: Message | None = None

    def tick(self, now: datetime) -> None:
        """Look once at everything."""
        if not self._has_begun:
            self._begin()
        self._look_into_tables(now)
        now_wanted = assignments(now, self._cameras, self._bookings)
        self._unlocked = {n: why for n, why in self._unlocked.items() if n in now_wanted}
        for number, one in now_wanted.items():
            self._want(number, one, now)
        for number, live in list(self.sources.items()):
            try:
                self._watch(live, now, is_wanted=number in now_wanted)
                if number not in now_wanted:
                    self._let_go(number, live, now)
            except MergerError as error:
                log.warning("%s: %s", live.name, error.message)
                live.failures += 1
                live.again_s = time.monotonic() + pause_s(live.failures, random.random())
        self._finisher.go_on()
        self._tell_again()
        self._give_signs(now)

    def _begin(self) -> None:
        """Finish what an earlier recorder was killed over, as soon as the folder is there."""
        recorded = self.wiring.recorded
        try:
            make_folder(recorded, "MERGER_DATA")
            with translate_write_errors(recorded):
                for folder in recorded.iterdir():
                    if raw_files(folder):
                        self._finisher.add(folder)
        except MergerError as error:
            if error.message != self._why_not_begun:
                log.error("what was recorded before is not finished yet: %s", error.message)
            self._why_not_begun = error.message
            return
        self._has_begun = True

    def _look_into_tables(self, now: datetime) -> None:
        if time.monotonic() - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = time.monotonic()
        try:
            cameras = list(self.wiring.cameras())
            self._bookings = list(self.wiring.bookings(now))
            self._told = None
        except MergerError as error:  # what is wanted is known from before
            if error.message != self._told:
                log.warning("%s; the recorder goes on with what it knows", error.message)
            self._told = error.message
            return
        self._cameras = []
        for camera in cameras:
            try:
                address = address_of(camera.source, allow_local=self.wiring.allow_local)
            except Refused as error:
                if (camera.id, error.message) not in self._refused:
                    log.error("room %r: %s", camera.source.room, error.message)
                self._refused.add((camera.id, error.message))
                continue
            self._cameras.append((camera, address))

    def _want(self, number: int, one: Assignment, now: datetime) -> None:
        live = self.sources.get(number)
        if live is None:
            source = one.camera.source
            folder = folder_of(self.wiring.recorded, number)
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
            self.sources[number] = LiveSource(one, folder, lock, now)
            if raw_files(folder):
                self._finisher.add(folder)
            return
        before, live.wanted = live.wanted, one
        changed = (before.camera, before.address.url) != (one.camera, one.address.url)
        begins = one.is_recorded and not before.is_recorded
        if begins:
            live.since, live.again_s, live.failures, live.looks = now, 0.0, 0, 0
        if live.child and (changed or live.child.job.look == one.is_recorded):
            live.child.stop()

    def _watch(self, live: LiveSource, now: datetime, *, is_wanted: bool) -> None:
        """See what came, end what hangs, start what is due."""
        if live.child is not None:
            self._hear(live, now)
        child, now_s = live.child, time.monotonic()
        if child is not None and child.has_ended:
            self._hear(live, now)  # its last words
            self._ended(live, child, now, is_wanted=is_wanted)
            child = None
        if child is not None and (why := live.silence(self.wiring.patience, now_s)):
            live.ended_for = why
            child.kill()
            return
        if not is_wanted:
            return
        is_due = live.wanted.is_recorded or self._is_to_be_looked_at(live)
        if child is None and is_due and now_s >= live.again_s:
            live.begin(grid_s=self.wiring.grid_s, allow_local=self.wiring.allow_local)
        self._tell_silence_before(live, now)

    def _hear(self, live: LiveSource, now: datetime) -> None:
        assert live.child is not None
        for said in live.child.said():
            if "bytes" in said:
                self._media(live, said, now)
            if "picture" in said:
                with suppress(MergerError):
                    self.wiring.keep_picture(
                        live.wanted.camera.id,
                        from_epoch_us(said["at_us"]),
                        b64decode(said["picture"]),
                    )
            if "closed" in said:
                self._finisher.add(live.folder)
            if "ended" in said:
                live.why, live.ended_as = said["text"], said["ended"]
                if said["ended"] == "seen":
                    live.looked.update(live.wanted.soon)
                    live.looks = 0
                elif said.get("never"):
                    live.failures = max(live.failures, 10)  # nobody is locked out by trying
        for line in live.child.complained():
            live.complaints += 1
            if live.complaints <= _MOST_COMPLAINTS:
                log.info("%s: %s", live.name, line)

    def _media(self, live: LiveSource, said: dict[str, Any], now: datetime) -> None:
        at, now_s = from_epoch_us(said["at_us"]), time.monotonic()
        if said["key_us"] is None:
            live.sends_without_key(now_s)
            return
        is_first = live.key_us is None
        if said["key_us"] != live.key_us:
            live.key_us, live.key_s = said["key_us"], now_s
        if live.media_at is not None and at <= live.media_at and not is_first:
            return
        if live.lost_at is not None:
            self._tell_outage(live, from_epoch_us(said["from_us" if is_first else "key_us"]), now)
        live.media_at, live.came_s = at, now_s
        live.looked.update(live.wanted.soon)
        # One that comes and goes gives what it has: to wait longer each time would lose most of it.
        live.failures = live.looks = 0

    def _ended(self, live: LiveSource, child: Child, now: datetime, *, is_wanted: bool) -> None:
        code = child.process.returncode
        if code < 0:
            live.why = live.ended_for or "what recorded it was killed"
        child.forget()
        live.child = None
        self._finisher.add(live.folder)
        if child.job.look:
            live.looks += code != 0
            live.again_s = time.monotonic() + (pause_s(live.looks, random.random()) if code else 0)
            return
        if code == 0 or not (is_wanted and live.wanted.is_recorded):
            return
        if live.lost_at is None or live.lost_by != live.ended_as:
            log.warning("%s: no media: %s", live.name, live.why)
            live.lost_by = live.ended_as
            if live.ended_as == "disk_full":  # nobody has to wait for its end to hear of that
                self._tell_full_disk(live, now)
        live.lost_at = live.lost_at or live.heard_until
        live.concerned = tuple(dict.fromkeys((*live.concerned, *live.wanted.records)))
        live.failures += 1
        live.again_s = time.monotonic() + pause_s(live.failures, random.random())

    def _is_to_be_looked_at(self, live: LiveSource) -> bool:
        return bool(set(live.wanted.soon) - live.looked)

    def _tell_silence_before(self, live: LiveSource, now: datetime) -> None:
        """Tell of a source that is silent though a lecture begins soon."""
        silent = live.lost_at is not None or live.looks >= _LOOK_TRIES
        due = tuple(record for record in live.wanted.soon if record not in live.looked)
        if due and silent:
            text = (
                f"{live.wanted.camera.source.name} is silent, and a lecture begins soon: {live.why}"
            )
            log.warning("%s: silent before record %s: %s", live.name, due, live.why)
            self._tell(due, now, "silent", text)
            live.looked.update(due)

    def _tell_outage(self, live: LiveSource, until: datetime, now: datetime) -> None:
        since, live.lost_at = live.lost_at, None
        records, live.concerned = live.concerned, ()
        assert since is not None
        if until - since < _SHORTEST_OUTAGE:
            return
        zone = live.wanted.camera.source.zone
        length = (until - since) / timedelta(seconds=1)
        text = (
            f"{live.wanted.camera.source.name}: no media from {since.astimezone(zone):%H:%M:%S} to"
            f" {until.astimezone(zone):%H:%M:%S} ({length:.0f} s): {live.why}"
        )
        log.warning("room %r: %s", live.wanted.camera.source.room, text)
        told, last = live.counted(records)
        self._tell(told, now, "outage", text)
        text = f"{live.wanted.camera.source.name} comes and goes: more of it is in the log alone"
        self._tell(last, now, "outage", text)

    def _tell_full_disk(self, live: LiveSource, now: datetime) -> None:
        told = tuple(r for r in live.wanted.records if live.outages[r] < MOST_OUTAGES)
        source = live.wanted.camera.source.name
        self._tell(told, now, "disk_full", f"{source} is not recorded for now: {live.why}")

    def _let_go(self, number: int, live: LiveSource, now: datetime) -> None:
        """End what is no longer wanted."""
        if live.child is not None and not live.child.has_ended:
            live.child.stop()
            return
        if live.lost_at is not None:
            self._tell_outage(live, now, now)
        if live.child is None:
            self._withdraw_sign(number, live)
            os.close(live.lock)
            del self.sources[number]

    def _give_signs(self, now: datetime) -> None:
        """Let others see whether media comes of what is to be recorded."""
        now_s = time.monotonic()
        if now_s - self._signed_s < _SIGN_EVERY_S:
            return
        self._signed_s = now_s
        for number, live in self.sources.items():
            if not live.wanted.is_recorded:
                self._withdraw_sign(number, live)
                continue
            live.has_sign = True
            silent_since = live.silent_since(self.wiring.patience, now_s)
            with suppress(MergerError):  # a full disk, say: then it grows old
                self.wiring.give_sign(number, SourceSign(now, silent_since))

    def _withdraw_sign(self, number: int, live: LiveSource) -> None:
        if live.has_sign:
            with suppress(MergerError):
                self.wiring.give_sign(number, None)
                live.has_sign = False

    def _tell(self, records: tuple[int, ...], at: datetime, kind: str, text: str) -> None:
        if records:
            self._untold.append((records, at, kind, text))

    def _tell_again(self) -> None:
        """Tell what is to be told, as soon as the tables are there."""
        while self._untold:
            try:
                self.wiring.tell(*self._untold[0])
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
            for live in self.sources.values():
                if live.child is None:
                    continue
                live.child.stop()
                live.child.said()
                live.child.complained()
                if live.child.has_ended:
                    live.child.forget()
                    live.child = None
                    self._finisher.add(live.folder)
            self._finisher.go_on()
            living = [live for live in self.sources.values() if live.child]
            if not living and self._finisher.is_idle:
                break
            pause(_TICK_S)
        for number, live in self.sources.items():
            self._withdraw_sign(number, live)
            if live.child:
                live.child.kill()
                live.child.forget()
            if live.lost_at is not None:
                self._tell_outage(live, now(), now())
            os.close(live.lock)
        self._tell_again()
        self.sources.clear()
        self._finisher.kill()


def _lock(folder: Path) -> int | None:
    """Return the lock of a source, which ends with this process; None where another has it."""
    make_folder(folder, "MERGER_DATA")
    with translate_write_errors(folder):
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def run(
    supervisor: Supervisor,
    now: Callable[[], datetime],
    asked: Callable[[], int],
    pause: Callable[[float], None],
) -> None:
    """Record what is wanted until asked to stop."""
    try:
        while not asked():
            try:
                supervisor.tick(now())
            except Exception:  # the one place of the recorder: it never stops by itself
                log.exception("a mistake in this program; the recorder goes on")
            pause(_TICK_S)
    finally:
        supervisor.end(now, asked, pause)
