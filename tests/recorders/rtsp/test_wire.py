"""What passes between the supervisor and a process that records: nothing is lost, nothing let in."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

import pytest

from merger.i18n import Message
from recorders.rtsp.wire import (
    Arriving,
    ChildMessage,
    Ended,
    FileClosed,
    Job,
    MalformedLine,
    PictureTaken,
    Progress,
    from_line,
    to_line,
)

pytestmark = pytest.mark.quick

JOB = Job("rtsp://10.0.5.4/live", "user:s3cr%t\n", "504", "Kamera «ä»", "UTC", "/x", look=True)
WHY = Message("recorders.of_source", source="x", why=Message("nothing"), n=3, list=("a", "b"))


@pytest.mark.parametrize(
    "value",
    [
        JOB,
        Job("rtsp://x", None, "504", "c", "UTC", "/x", grid_s=10, allowed="fd00::/8"),
        Arriving(1),
        Progress(1, 2, 3, 4, "camera"),
        Progress(1, 2, -3, 4, "arrival"),
        PictureTaken(1_700_000_000_000_000, b"\xff\xd8\n\x00"),
        FileClosed("20261120T070000.000000Z.mkv"),
        Ended("away", WHY),
        Ended("credentials", Message("nothing"), is_lasting=True),
    ],
)
def test_a_value_comes_back_from_its_line(value: Job | ChildMessage) -> None:
    line = to_line(value)
    assert "\n" not in line and from_line(line) == value


def line_of(value: Job | ChildMessage, **changes: Any) -> str:
    return json.dumps({**json.loads(to_line(value)), **changes})


@pytest.mark.parametrize(
    "line",
    [
        "", "x", "null", "[]", "{}", '"job"', "[" * 100_000,
        line_of(Arriving(1), **{"is": "departing"}),
        line_of(Arriving(1), **{"is": None}),
        line_of(Arriving(1), **{"is": []}),
        line_of(Arriving(1), size_bytes="1"),
        line_of(Arriving(1), size_bytes=1.0),
        line_of(Arriving(1), size_bytes=True),
        line_of(Arriving(1), size_bytes=None),
        line_of(Arriving(1), more=1),
        line_of(Progress(1, 2, 3, 4, "camera"), by="moon"),
        line_of(Progress(1, 2, 3, 4, "camera"), key_us=None),
        line_of(PictureTaken(1, b""), jpeg="ä"),
        line_of(PictureTaken(1, b""), jpeg=[1]),
        line_of(Ended("away", WHY), why="it is away"),
        line_of(Ended("away", WHY), why={"key": "nothing"}),
        line_of(Ended("away", WHY), is_lasting=1),
        line_of(JOB, credentials=5),
        line_of(JOB, look="yes"),
    ],
)  # fmt: skip
def test_a_line_of_another_form_is_refused(line: str) -> None:
    with pytest.raises(MalformedLine):
        from_line(line)


@pytest.mark.parametrize("name", [f.name for f in fields(JOB)])
def test_a_field_that_is_missing_is_never_made_up(name: str) -> None:
    rest = {key: value for key, value in json.loads(to_line(JOB)).items() if key != name}
    with pytest.raises(MalformedLine):
        from_line(json.dumps(rest))


def test_what_is_refused_shows_no_password() -> None:
    for changes in ({"look": "no"}, {"credentials": ["s3cr%t"]}):
        with pytest.raises(MalformedLine) as refused:
            from_line(line_of(JOB, **changes))
        assert "s3cr" not in str(refused.value)
    assert "s3cr" not in repr(JOB) and asdict(JOB)["credentials"] == JOB.credentials
