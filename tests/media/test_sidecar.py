"""What stands beside a media file: read as far as it makes sense, and told where it does not."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from merger.media.sidecar import (
    LARGEST_SIDECAR,
    MalformedSidecar,
    Sidecar,
    load_sidecar,
    read_sidecar,
    sidecar_bytes,
    sidecar_path,
)
from merger.timeline.clock import Span

pytestmark = pytest.mark.quick

TEN = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ELEVEN = TEN + timedelta(hours=1)
HALF = timedelta(seconds=0.5)
RAN = (Span(TEN, TEN + timedelta(minutes=20)), Span(TEN + timedelta(minutes=30), ELEVEN))
DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def media(tmp_path: Path) -> Path:
    return tmp_path / "2026-11-20_10-00_504_camera.mp4"


def put(media: Path, text: bytes | str) -> None:
    data = text.encode() if isinstance(text, str) else text
    sidecar_path(media).write_bytes(data)


def test_what_was_written_is_read(media: Path) -> None:
    put(media, sidecar_bytes(TEN, ELEVEN, DIGEST, room="Аудитория 504"))
    assert load_sidecar(media) == Sidecar(TEN, ELEVEN, DIGEST)
    assert read_sidecar(media) == (Sidecar(TEN, ELEVEN, DIGEST), None)
    assert json.loads(sidecar_path(media).read_text("utf-8"))["room"] == "Аудитория 504"
    put(media, sidecar_bytes(TEN, ELEVEN, exact_to_s=1))
    assert load_sidecar(media) == Sidecar(TEN, ELEVEN, exact_to=timedelta(seconds=1))
    put(media, sidecar_bytes(TEN))
    assert read_sidecar(media) == (Sidecar(TEN), None)
    put(media, sidecar_bytes(TEN, ELEVEN, stretches=RAN))
    assert read_sidecar(media) == (Sidecar(TEN, ELEVEN, stretches=RAN), None)


def test_without_one_nothing_is_known_and_nothing_is_wrong(media: Path) -> None:
    assert load_sidecar(media) is None
    assert read_sidecar(media) == (Sidecar(), None)


@pytest.mark.parametrize(
    ("text", "sidecar"),
    [
        ("{}", Sidecar()),
        ('{"start": null, "end": null, "sha256": null}', Sidecar()),
        ('{"start": "2026-11-20T13:00:00+03:00"}', Sidecar(TEN)),
        ('{"start": "2026-11-20T10:00Z", "end": "2026-11-20T11:00Z"}', Sidecar(TEN, ELEVEN)),
        ('{"end": "2026-11-20T11:00Z"}', Sidecar()),  # an end without a start is of no use
        ('{"start": "2026-11-20T10:00Z", "sha256": "abc"}', Sidecar(TEN)),
        ('{"start": "2026-11-20T10:00Z", "sha256": 7}', Sidecar(TEN)),
        ('{"start": "2026-11-20T10:00Z", "exact_to_s": 0.5}', Sidecar(TEN, exact_to=HALF)),
        ('{"start": "2026-11-20T10:00Z", "exact_to_s": "1"}', Sidecar(TEN)),
        ('{"start": "2026-11-20T10:00Z", "exact_to_s": -1}', Sidecar(TEN)),
        ('{"start": "2026-11-20T10:00Z", "exact_to_s": NaN}', Sidecar(TEN)),
    ],
)
def test_each_part_may_be_missing(media: Path, text: str, sidecar: Sidecar) -> None:
    put(media, text)
    assert read_sidecar(media) == (sidecar, None)


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        (b"", "media.sidecar_no_json", None),
        (b"\xff\xfe{", "media.sidecar_no_json", None),
        (b"[" * 100_000, "media.sidecar_no_json", None),
        (b" " * (LARGEST_SIDECAR + 1), "media.sidecar_too_large", None),
        (b"[]", "media.sidecar_not_understood", "media.sidecar_no_object"),
        (b'{"start": 7}', "media.sidecar_not_understood", "media.sidecar_no_instant"),
        (b'{"start": "now"}', "media.sidecar_not_understood", "media.sidecar_no_instant"),
        (b'{"start": "2026-11-20T10:00"}', "media.sidecar_not_understood", "media.sidecar_no_instant"),
        (b'{"start": "0001-01-01T00:00+03:00"}', "media.sidecar_not_understood", "timeline.impossible_year"),
        (b'{"start": "2026-11-20T10:00Z", "end": "2026-11-20T10:00Z"}',
         "media.sidecar_not_understood", "media.sidecar_ends_before_start"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told(media: Path, text: bytes, key: str, why: str | None) -> None:
    put(media, text)
    sidecar, message = read_sidecar(media)
    assert sidecar == Sidecar() and message is not None and message.key == key
    assert message.params["file"] == f"{media.stem}.json"
    assert getattr(message.params.get("why"), "key", None) == why
    with pytest.raises(MalformedSidecar, match=str(message).split(" (")[0]):
        load_sidecar(media)


def at(minute: int) -> str:
    return f"2026-11-20T10:{minute:02}Z"


@pytest.mark.parametrize(
    ("stretches", "why"),
    [
        ("all", "no_list"), ([], "no_list"), ({}, "no_list"), ([at(0), at(1)], "no_list"),
        ([[at(0)]], "no_list"), ([[at(0), at(1), at(2)]], "no_list"),
        ([[at(0), at(1)]] * 1001, "no_list"),
        ([[at(1), at(0)]], "disorder"), ([[at(0), at(0)]], "disorder"),
        ([[at(0), at(2)], [at(1), at(3)]], "disorder"),
        ([[at(2), at(3)], [at(0), at(1)]], "disorder"),
        ([[at(1), at(2)]], "outside"), ([[at(0), at(1)], [at(2), at(41)]], "outside"),
    ],
)  # fmt: skip
def test_stretches_that_cannot_be(media: Path, stretches: Any, why: str) -> None:
    put(media, json.dumps({"start": at(0), "end": at(40), "stretches": stretches}))
    sidecar, message = read_sidecar(media)
    assert sidecar == Sidecar() and message is not None
    assert getattr(message.params["why"], "key", None) == f"media.sidecar_stretches_{why}"


def test_stretches_need_a_start_and_touch_at_most(media: Path) -> None:
    touching = [[at(0), at(1)], [at(1), at(2)]]
    put(media, json.dumps({"stretches": touching}))
    assert read_sidecar(media)[1] is not None
    put(media, json.dumps({"start": at(0), "stretches": touching}))
    assert len(read_sidecar(media)[0].stretches) == 2
    put(media, json.dumps({"start": at(0), "stretches": [[at(0), "now"]]}))
    assert "'now' is not a time" in str(read_sidecar(media)[1])


def test_a_long_text_is_not_repeated_whole(media: Path) -> None:
    put(media, json.dumps({"start": "x" * 10_000}))
    _, message = read_sidecar(media)
    assert len(str(message)) < 300


def test_what_is_no_file_is_not_waited_for(media: Path) -> None:
    os.mkfifo(sidecar_path(media))
    assert str(read_sidecar(media)[1]) == f"{media.stem}.json is not a file"
    with pytest.raises(MalformedSidecar):
        load_sidecar(media)


@pytest.mark.parametrize(
    ("written", "knows_time"),
    [
        ({"start": TEN.isoformat()}, True),
        ({"start": TEN.isoformat(), "clock": "camera"}, True),
        ({"start": TEN.isoformat(), "clock": "name"}, False),  # all that a power cut left
        ({"start": TEN.isoformat(), "exact_to_s": 1}, False),
        ({"sha256": DIGEST}, False),
    ],
)
def test_whether_its_recorder_knew_the_time(
    media: Path, written: dict[str, Any], knows_time: bool
) -> None:
    put(media, json.dumps(written))
    sidecar = load_sidecar(media)
    assert sidecar is not None and sidecar.knows_time == knows_time
