"""A process that records one source, seen from its supervisor: started, heard, ended."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from merger.errors import Temporary
from merger.render.ffmpeg import dying_with_parent
from merger.rooms.spec import masked
from recorders.rtsp.wire import ChildMessage, Job, MalformedLine, from_line, to_line

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
_STOPS_WITHIN_S = 8.0  # it reads for five seconds at most
_AGAIN_S = 20.0  # somebody makes room
_MOST_BYTES = 1 << 20  # of one line: a picture has some 50 kB
_ADDRESS = re.compile(r"rtsps?://[^/\s@]*@")


def start_child(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a module of this package that dies with us, its pipes not to be waited for.

    Raises Temporary where the system has no room for another process.
    """
    command = [*dying_with_parent(), sys.executable, "-m", module, *arguments]
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,  # Ctrl-C is ours to handle
        )
    except OSError as error:
        raise Temporary("recorder", f"no process can be started: {error.strerror}") from error
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
    return process


@dataclass
class Child:
    """A process with a job."""

    job: Job
    process: subprocess.Popen[bytes] = field(init=False)
    begun_s: float = field(default_factory=time.monotonic)
    _rest: dict[str, bytes] = field(default_factory=lambda: {"out": b"", "err": b""})
    _asked_s: float | None = None

    def __post_init__(self) -> None:
        self.process = start_child("recorders.rtsp.child")
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already: that is seen soon
            self.process.stdin.write(f"{to_line(self.job)}\n".encode())
            self.process.stdin.close()

    def read_messages(self) -> list[ChildMessage]:
        """Return its messages since the last time."""
        messages: list[ChildMessage] = []
        for line in self._lines("out"):
            try:
                message = from_line(line)
            except MalformedLine as error:
                log.error("a process that records sent a malformed line: %s", error)
                continue
            assert not isinstance(message, Job)
            messages.append(message)
        return messages

    def read_complaints(self) -> list[str]:
        """Return its lines on stderr since the last time, without what must not be seen."""
        return [redact(line, self.job.credentials) for line in self._lines("err")]

    def _lines(self, name: str) -> Iterator[str]:
        pipe = self.process.stdout if name == "out" else self.process.stderr
        assert pipe is not None
        while True:
            try:
                read = os.read(pipe.fileno(), 65536)
            except (BlockingIOError, ValueError):
                break
            if not read:
                break
            *lines, self._rest[name] = (self._rest[name] + read).split(b"\n")
            self._rest[name] = self._rest[name][-_MOST_BYTES:]
            yield from (line.decode("utf-8", "replace") for line in lines)

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> None:
        """Ask it to close its file and end; kill it where it does not."""
        now_s = time.monotonic()
        if self.has_ended:
            return
        if self._asked_s is None:
            self._asked_s = now_s
            self.process.send_signal(signal.SIGTERM)
        elif now_s - self._asked_s > _STOPS_WITHIN_S:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        if not self.has_ended:
            self.process.kill()

    def forget(self) -> None:
        """Close what is open of a process that has ended."""
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def redact(line: str, credentials: str | None) -> str:
    """Return a line without user and password, whether they are in an address or by themselves."""
    if credentials:
        _, _, password = credentials.partition(":")
        for secret in (credentials, password, quote(password, safe="")):
            if secret:
                line = line.replace(secret, "***")
    return _ADDRESS.sub("rtsp://***@", masked(line))


@dataclass
class Finisher:
    """Has what is closed made into complete files, one folder at a time."""

    _folders: dict[Path, float] = field(default_factory=dict)  # not before, by `time.monotonic`
    _folder: Path | None = None
    _process: subprocess.Popen[bytes] | None = None

    def add(self, folder: Path) -> None:
        """Have a folder looked at, once more if it is being looked at now."""
        self._folders.setdefault(folder, 0.0)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to be done, or nothing that can be done just now."""
        return self._due() is None and self._process is None

    def _due(self) -> Path | None:
        now_s = time.monotonic()
        return next((folder for folder, at_s in self._folders.items() if at_s <= now_s), None)

    def go_on(self) -> None:
        """Begin with the next folder, where the last one is done."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            _, complaints = self._process.communicate()
            if self._process.returncode != 0:
                said = complaints.decode("utf-8", "replace")[-500:].strip()
                log.error("recordings are not finished yet: %s", said)
                self._wait()
            self._process = None
        folder = self._due()
        if folder is not None:
            self._folder = folder
            del self._folders[folder]
            try:
                self._process = start_child("recorders.rtsp.recordings", str(folder))
            except Temporary as error:
                log.warning("%s", error.message)
                self._wait()

    def _wait(self) -> None:
        """Try the last folder again in a while; the others do not wait for it."""
        assert self._folder is not None
        self._folders[self._folder] = time.monotonic() + _AGAIN_S

    def kill(self) -> None:
        """End at once; what is half-done is done anew by the next recorder."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
