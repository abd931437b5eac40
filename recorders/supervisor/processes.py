"""A process that records one source, as its supervisor sees it: started, read, ended."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from merger.errors import Temporary
from merger.isolation.confinement import clean_environment, dying_with_parent
from merger.rooms.spec import mask_passwords
from recorders.rtsp.wire import ChildMessage, Job, MalformedLine, from_line, to_line

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
_MOST_BYTES = 1 << 20  # of one line: a picture has some 50 kB
_MOST_COMPLAINTS = 20  # lines of one process
_ADDRESS = re.compile(r"rtsps?://[^/\s@]*@")


def start_module(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a module as a process that dies with this one and whose output never blocks.

    Raises:
        Temporary: the system has no room for another process.
    """
    command = [*dying_with_parent(), sys.executable, "-m", module, *arguments]
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(),  # it reads what cameras send, and needs no secret of ours
            process_group=0,  # Ctrl-C is ours to handle
        )
    except OSError as error:
        why = error.strerror or str(error)
        raise Temporary("recorder", "recorders.no_process", why=why) from error
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
    return process


@dataclass
class Child:
    """A process with a job."""

    job: Job
    process: subprocess.Popen[bytes] = field(init=False)
    _rest: dict[str, bytes] = field(default_factory=lambda: {"out": b"", "err": b""})
    _complaints: int = 0

    def __post_init__(self) -> None:
        self.process = start_module("recorders.rtsp.child")
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already: that is seen soon
            self.process.stdin.write(f"{to_line(self.job)}\n".encode())
            self.process.stdin.close()

    def read_messages(self) -> list[ChildMessage]:
        """Return its messages since the last call."""
        messages: list[ChildMessage] = []
        for line in self._read_lines("out"):
            try:
                message = from_line(line)
            except MalformedLine as error:
                log.error("a process that records sent a malformed line: %s", error)
                continue
            assert not isinstance(message, Job)
            messages.append(message)
        return messages

    def read_complaints(self) -> list[str]:
        """Return its lines on stderr since the last call, without secrets, and not all of many."""
        lines = []
        for line in self._read_lines("err"):
            self._complaints += 1
            if self._complaints <= _MOST_COMPLAINTS:
                lines.append(redact(line, self.job.credentials))
        return lines

    def _read_lines(self, name: str) -> Iterator[str]:
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
        """Ask it to close its file and end."""
        if not self.has_ended:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        if not self.has_ended:
            self.process.kill()

    def close(self) -> int:
        """Wait until it has ended, and close its pipes; return its exit status."""
        status = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        return status


def redact(line: str, credentials: str | None) -> str:
    """Return a line without user and password, whether they are in an address or by themselves."""
    if credentials:
        _, _, password = credentials.partition(":")
        for secret in (credentials, password, quote(password, safe="")):
            if secret:
                line = line.replace(secret, "***")
    return _ADDRESS.sub("rtsp://***@", mask_passwords(line))
