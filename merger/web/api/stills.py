"""The API: what rooms show when nobody presents, as editors say; for those who look after rooms."""

from __future__ import annotations

from flask import Response

from merger.i18n import document
from merger.records.stills import questions, remaking
from merger.web.api import base
from merger.web.api.schemas.records import RetriedOut
from merger.web.api.schemas.stills import StillAnswer, StillOut, StillPath, StillsOut
from merger.web.auth import require_principal, service

blueprint = base.resources(
    "stills", "Pictures that stand on the screens of rooms, and whether they are presentations."
)


@blueprint.get("/stills", responses=base.responses_of(StillsOut), operation_id="listStills")
def listing() -> Response:
    """List the questions about the screens of rooms: open ones first, then the latest answers."""
    require_principal("rooms")
    return base.reply({"stills": questions.list_stills(service().engine)})


@blueprint.get(
    "/stills/<int:still>", responses=base.responses_of(StillOut), operation_id="showStill"
)
def show(path: StillPath) -> Response:
    """Show a question, and what was answered."""
    require_principal("rooms")
    return base.reply(questions.get_still(service().engine, path.still))


@blueprint.put(
    "/stills/<int:still>/answer", responses={"200": StillOut}, operation_id="answerStill"
)
def answer(path: StillPath, body: StillAnswer) -> Response:
    """Say what the picture is. From then on the room's recordings are decided by it."""
    who, here = require_principal("rooms"), service()
    questions.answer(here.engine, path.still, body.answer, who, here.now())
    return base.reply(questions.get_still(here.engine, path.still))


@blueprint.delete(
    "/stills/<int:still>/answer", responses={"204": base.NOTHING}, operation_id="undoStillAnswer"
)
def undo(path: StillPath) -> Response:
    """Take the answer back: recordings are decided without it again, and the question is open."""
    who, here = require_principal("rooms"), service()
    questions.answer(here.engine, path.still, None, who, here.now())
    return Response(status=204)


@blueprint.post(
    "/stills/<int:still>/remake", responses={"200": RetriedOut}, operation_id="remakeForStill"
)
def remake(path: StillPath) -> Response:
    """Make the recordings again in which the picture was seen and taken for something else."""
    who, here = require_principal("rooms"), service()
    questions.get_still(here.engine, path.still)
    remade = remaking.remake(here.engine, path.still, who, here.now())
    refused = [{"id": record, **document(why, "message")} for record, why in remade.refused.items()]
    return base.reply({"records": remade.records, "refused": refused})
