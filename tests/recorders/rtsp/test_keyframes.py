"""Names of files, and the key frames that they begin with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recorders.rtsp.keyframes import parameter_sets
from recorders.rtsp.recordings import file_name

pytestmark = pytest.mark.quick

TEN = datetime(2026, 11, 20, 7, tzinfo=UTC)


def test_files_are_named_as_in_any_library() -> None:
    assert file_name(TEN, "Europe/Moscow", "504", "camera") == "2026-11-20_10-00-00_504_camera.mkv"


def test_parameter_sets_are_found() -> None:
    sps, pps, idr = b"\x67\x42\x00", b"\x68\xce", b"\x65\x88\x84"
    packet = b"\x00\x00\x00\x01" + sps + b"\x11" + b"\x00\x00\x00\x01" + pps + b"\x00\x00\x01" + idr
    assert parameter_sets("h264", packet) == sps + b"\x11"
    assert parameter_sets("mjpeg", packet) == b"" == parameter_sets("h264", b"\x00\x00\x01")
