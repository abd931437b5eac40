"""What others see of a live source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from merger.live.source_status import Flow, SourceSign, flow_of

pytestmark = pytest.mark.quick

TEN = datetime(2026, 11, 20, 7, tzinfo=UTC)


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("sign", "after_s", "means", "silent_s"),
    [
        (SourceSign(TEN), 60, Flow("coming"), 0),
        (SourceSign(TEN), 61, Flow("unknown", TEN), 61),
        (SourceSign(TEN, TEN - MINUTE), 5, Flow("silent", TEN - MINUTE), 65),
        (SourceSign(TEN, TEN - MINUTE), 120, Flow("unknown", TEN - MINUTE), 180),
        (SourceSign(TEN, TEN), -5, Flow("silent", TEN), 0),  # a clock of another machine
    ],
)
def test_what_a_sign_means(sign: SourceSign, after_s: int, means: Flow, silent_s: int) -> None:
    now = TEN + timedelta(seconds=after_s)
    assert flow_of(sign, now) == means
    assert means.silent_s(now) == silent_s
