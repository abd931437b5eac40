"""A queue of one room, for the tests of the queue."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from merger.queue import Claim
from tests.line import Line


@pytest.fixture
def line(engine: Engine) -> Line:
    """A queue of room 504, at noon."""
    made = Line(engine)
    made.room("504")
    return made


@pytest.fixture
def held(line: Line) -> Claim:
    """A claim of a record that was claimed at noon."""
    line.ask()
    return line.claimed()
