"""Cameras for tests: processes that serve the pictures of this moment over RTSP, and can be hurt."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from merger.isolation.confinement import dying_with_parent
from merger.media.index import read_media
from tests.support.truth import clock_in, error_ms

# They play as slowly as life: the tests of one process wait for them, and others work meanwhile.
CAMERAS = pytest.mark.xdist_group("cameras")

_PYTHON = "/usr/bin/python3"  # the system's has GStreamer
_SERVER = Path(__file__).with_name("rtsp_server.py")
PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
    " gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav glib-networking"
)


def uncut_zone() -> str:
    """Return a zone of whose half hours none begins in the next quarter of an hour.

    A recording is cut there: what one test counts would be one file more at some times of the day.
    """
    return "Europe/Moscow" if datetime.now(UTC).minute % 30 < 15 else "Asia/Kathmandu"  # +05:45


class Camera:
    """A camera on this machine, whose pictures carry the wall clock."""

    def __init__(self, *options: str) -> None:
        self.port = _free_port()
        self.options = options
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        scheme = "rtsps" if "--certificate" in self.options else "rtsp"
        return f"{scheme}://127.0.0.1:{self.port}/live"

    def start(self, *options: str) -> None:
        """Switch it on, with other options than before where there are any."""
        self.options = options or self.options
        self.process = subprocess.Popen(
            [*dying_with_parent(), _PYTHON, str(_SERVER), "--port", str(self.port), *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            self.kill()
            pytest.fail(f"no camera came up at port {self.port}")

    def kill(self) -> None:
        """Pull its plug."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def freeze(self) -> None:
        """Have it hang: connections stay, and nothing comes."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)


def self_signed(folder: Path) -> Path:
    """Return a certificate with its key, such as cameras make for themselves."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")])
    begins = datetime(2020, 1, 1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=20 * 365))
        .sign(key, hashes.SHA256())
    )
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "camera.pem"
    path.write_bytes(made.public_bytes(Encoding.PEM) + key.private_bytes(*form))
    return path


def require_cameras() -> None:
    """Skip the test where GStreamer's RTSP server is not installed, and say so."""
    if Path(_PYTHON).exists():
        tried = subprocess.run([_PYTHON, str(_SERVER), "--check"], capture_output=True, check=False)
        if tried.returncode == 0:
            return
    message = f"NOT TESTED: no RTSP server is installed: apt-get install {PACKAGES}"
    if os.environ.get("TESTS_NEED_RTSP") == "1":
        pytest.fail(message)
    pytest.skip(message)


@dataclass
class Recorded:
    """A finished file, and what it shows."""

    path: Path
    start: datetime
    end: datetime | None
    clock: str
    errors_ms: list[int]

    @property
    def frames(self) -> int:
        return len(self.errors_ms)


def looked_at(path: Path) -> Recorded:
    """Return by how many milliseconds the pictures of a file are not those of their instants."""
    said = json.loads(path.with_suffix(".json").read_text())
    start = datetime.fromisoformat(said["start"])
    zero_us = read_media(path).zero_us
    errors = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            plane = frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
            clock = clock_in(luma[:, : plane.width])
            assert clock is not None and frame.time is not None
            at = start + timedelta(microseconds=round(frame.time * 1e6) - zero_us)
            errors.append(error_ms(clock, at))
    end = datetime.fromisoformat(said["end"]) if said["end"] else None
    return Recorded(path, start, end, said["clock"], errors)


@contextmanager
def camera(*options: str) -> Iterator[Camera]:
    """Give a camera that is on."""
    require_cameras()
    made = Camera(*options)
    made.start()
    try:
        yield made
    finally:
        made.kill()


def _free_port() -> int:
    # Below those that the system hands out: so it is free again after the camera was off.
    while True:
        port = random.randint(15000, 20000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
