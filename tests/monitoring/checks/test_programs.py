"""Whether ffmpeg is there, encodes, and is confined."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from merger.i18n import Message
from merger.isolation import confinement, reader
from merger.isolation.reader import Unreadable
from merger.monitoring.doctor import check
from tests.monitoring.checks.looking import (
    RECORDERS,
    config,
    looked,
    now,
)
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Makes a program that calls itself an ffmpeg of some version."""

    def make(version: str) -> str:
        path = tmp_path / "ffmpeg"
        path.write_text(f"#!/bin/sh\necho 'ffmpeg version {version} Copyright'\n")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.mark.parametrize("version", ["5.1", "5.1.6-0+deb12u1", "n7.1", "10.0", "N-109542-g1bf1dc7"])
def test_an_ffmpeg_that_is_new_enough(
    lite: Engine, tmp_path: Path, program: Callable[[str], str], version: str
) -> None:
    found = looked(tmp_path, lite, MERGER_FFMPEG=program(version))
    assert found["ffmpeg"].level == "ok" and version in found["ffmpeg"].text


@pytest.mark.parametrize("version", ["4.4.2-0ubuntu0.22.04.1", "5.0", "n3.4"])
def test_an_ffmpeg_that_is_too_old(
    lite: Engine, tmp_path: Path, program: Callable[[str], str], version: str
) -> None:
    found = looked(tmp_path, lite, MERGER_FFMPEG=program(version))
    assert found["ffmpeg"].level == "broken" and "5.1 or newer" in found["ffmpeg"].text
    assert not any(what.startswith("encoder") for what in found)


def test_no_ffmpeg(lite: Engine, tmp_path: Path) -> None:
    found = looked(tmp_path, lite, MERGER_FFMPEG=str(tmp_path / "none"))["ffmpeg"]
    assert found.level == "broken" and "MERGER_FFMPEG" in found.text


H264, AV1 = "encoder for 720p, full, 540p, auto, tiny", "encoder for av1, tiny_av1"


@pytest.mark.parametrize(
    ("working", "choice", "what", "level", "told"),
    [
        ("libx264 libsvtav1", "auto", H264, "ok", "libx264, in software; h264_nvenc does not work"),
        ("libx264 libsvtav1", "software", H264, "ok", "libx264, in software"),
        ("libx264 libsvtav1", "nvenc", H264, "warning", "encoded in software; install its driver"),
        ("libx264 libsvtav1", "nvenc", AV1, "ok", "libsvtav1, in software"),
        ("libx264 h264_nvenc", "auto", H264, "ok", "h264_nvenc, in hardware"),
        ("libx264 h264_nvenc", "software", H264, "ok", "libx264, in software"),
        ("libx264 h264_vaapi", "vaapi", H264, "ok", "h264_vaapi, in hardware"),
        ("h264_nvenc", "auto", H264, "warning", "nothing can replace it"),
        ("libsvtav1", "auto", H264, "broken", "cannot encode with libx264"),
        ("libx264", "auto", AV1, "warning", "cannot encode with libsvtav1"),
    ],
)
def test_encoders(
    lite: Engine, tmp_path: Path, no_gpu: Callable[..., None], working: str, choice: str,
    what: str, level: str, told: str,
) -> None:  # fmt: skip
    no_gpu(*working.split())
    found = looked(tmp_path, lite, MERGER_ENCODER=choice)[what]
    assert found.level == level and told in found.text
    assert ("nvenc" in found.text) <= (choice != "software")


def test_the_encoders_of_this_machine(
    lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real ones
    found = check(config(tmp_path, MERGER_ENCODER="software"), lite, RECORDERS, now)
    told = {f.what: str(f.text) for f in found if f.what.startswith("encoder")}
    assert told == {
        "encoder for 720p, full, 540p, auto": "libx264, in software",
        "encoder for av1": "libsvtav1, in software",
    }


def test_setpriv_is_missing(lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "dying_with_parent", list)
    found = looked(tmp_path, lite)["setpriv"]
    assert found.level == "warning" and "util-linux" in found.text


@pytest.mark.parametrize(
    ("escapes", "level", "told"),
    [
        ([], "ok", "has no network, and no files but those"),
        (["files"], "warning", "has the files of the service; for less, Linux needs Landlock"),
        (["files", "network"], "warning", "has the files of the service, the network; for less"),
    ],
)
def test_what_is_open_to_whatever_decodes(
    lite: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    escapes: list[str],
    level: str,
    told: str,
) -> None:
    monkeypatch.setattr(reader, "call", lambda _: escapes)
    found = looked(tmp_path, lite)["confinement"]
    assert found.level == level and told in found.text


def test_a_confinement_that_is_switched_off_or_fails(
    lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: object) -> None:
        raise Unreadable(Message("media.reader_died", how="SIGSYS"))

    monkeypatch.setattr(reader, "call", die)
    found = looked(tmp_path, lite)["confinement"]
    assert found.level == "broken" and "SIGSYS" in found.text
    monkeypatch.setattr(confinement, "_is_wanted", False)
    found = looked(tmp_path, lite)["confinement"]
    assert found.level == "warning" and "MERGER_CONFINE=auto" in found.text
