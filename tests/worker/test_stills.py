"""A room learns its own screen from a recording, and the next version goes by what was answered."""

from __future__ import annotations

import cv2
import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from merger.accounts.permissions import SCOPES_OF, Principal
from merger.db.engine import reading, writing
from merger.records.stills import questions, remaking
from models import Chunk, Still, StillSighting
from tests.analysis.test_own_screens import desktop
from tests.conftest import SMALL
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

LENGTH_S = 12.0  # a still stands for ten seconds at least


@ON_SQLITE
def test_a_recording_is_remade_with_what_was_answered(site: Site) -> None:
    site.add_room()
    site.film("speaker", 0, LENGTH_S)
    ground = np.asarray(cv2.resize(desktop(), SMALL, interpolation=cv2.INTER_AREA), np.uint8)
    site.film("screen", 0, LENGTH_S, ground=ground, clock=False, sound=False)
    record = site.ask(LENGTH_S)
    assert site.work() == "delivered"
    assert verdicts(site) == {"presentation"}
    with reading(site.engine) as session:
        (still,) = session.scalars(select(Still)).all()
        (sighting,) = session.scalars(select(StillSighting)).all()
    assert (sighting.at_start, sighting.at_end) == (True, True)
    assert sighting.seconds > LENGTH_S - 1 and still.asked_at is None

    def ask(session: Session) -> None:
        session.get_one(Still, still.id).asked_at = site.clock

    writing(site.engine, ask)
    eve = Principal(0, "eve@example.org", "editor", SCOPES_OF["editor"])
    writing(site.engine, lambda session: _answer(session, still.id))
    assert remaking.remake(site.engine, still.id, eve, site.clock).records == [record]
    assert site.work() == "delivered"
    assert verdicts(site) == {"desktop"}
    assert questions.get_still(site.engine, still.id)["to_remake"] == 0


def _answer(session: Session, still: int) -> None:
    session.get_one(Still, still).answer = "desktop"


def verdicts(site: Site) -> set[str]:
    with reading(site.engine) as session:
        return set(session.scalars(select(Chunk.verdict)))
