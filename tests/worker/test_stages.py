"""The table of stages says what there is: tables, columns, stages, in an order that works."""

from __future__ import annotations

from itertools import chain

import pytest

import models
from merger.worker.stages import STAGES
from models import Base

pytestmark = pytest.mark.quick

COLUMNS = {
    name
    for table in Base.metadata.sorted_tables
    for name in (table.name, *(f"{table.name}.{column.name}" for column in table.columns))
}


def test_the_stages_are_those_of_the_row_in_order() -> None:
    assert tuple(chain.from_iterable(stage.names for stage in STAGES)) == models.STAGES


def test_they_name_tables_and_columns_that_there_are() -> None:
    for stage in STAGES:
        assert set(stage.needs) | set(stage.writes) <= COLUMNS, stage.names
        assert stage.keeps, stage.names


def test_what_a_stage_needs_an_earlier_one_has_written() -> None:
    written: set[str] = set()
    for stage in STAGES:
        assert set(stage.needs) <= written, stage.names
        written |= set(stage.writes)
