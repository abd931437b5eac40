"""A daemon whose tables are upgraded under it, by the program that is to replace it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text

from merger.daemon.loop import run, run_once
from merger.errors import Broken
from merger.i18n import verbatim
from tests.daemon.crew import CLEAN, Crew
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES


def upgrade(crew: Crew) -> None:
    with crew.line.engine.begin() as connection:
        connection.execute(text("UPDATE merger_version SET version_num = '9999'"))


@pytest.mark.parametrize("loop", [run, run_once])
def test_nothing_more_is_claimed_and_what_is_held_is_handed_back(
    crew: Crew, loop: Callable[..., None]
) -> None:
    records = [crew.line.ask()]

    def go_on() -> None:
        [hand] = crew.hands  # there is none for the second record
        if len(records) == 1:
            records.append(crew.line.ask())
            upgrade(crew)
        elif hand.asked and hand.how is None:
            crew.line.lease(hand.held).hand_back(verbatim("stopped"))
            hand.how = CLEAN

    crew.on_pause = go_on
    with pytest.raises(Broken, match="this program is older than the tables") as ended:
        loop(crew.daemon, crew.signals)
    assert "update the program" in str(ended.value)
    assert [crew.line.row(number).status for number in records] == ["queued", "queued"]
    assert crew.daemon.running == {}
