"""The page on which editors say what rooms show when nobody presents."""

from __future__ import annotations

from datetime import timedelta

from flask import flash, g, redirect, request

from merger.records.stills import questions, remaking
from merger.web.auth import require_principal, service
from merger.web.language import t
from merger.web.pages.base import Answer, blueprint, form

_UNDO = "undo"


@blueprint.get("/stills")
def stills_page() -> Answer:
    """Show open questions, and what was answered."""
    require_principal("rooms")
    found = [
        {**still, "stood": timedelta(seconds=still["seconds"])}
        for still in questions.list_stills(service().engine)
    ]
    return form(
        "stills.html", {}, answers=questions.ANSWERS,
        waiting=[still for still in found if still["answer"] is None],
        answered=[still for still in found if still["answer"] is not None],
    )  # fmt: skip


@blueprint.post("/stills/<int:still>")
def answer_still(still: int) -> Answer:
    """Write down an answer, or take it back."""
    who, here = require_principal("rooms"), service()
    given = request.form.get("answer", "")
    questions.answer(here.engine, still, None if given == _UNDO else given, who, here.now())
    flash(t("stills.undone" if given == _UNDO else "stills.thanks"))
    return redirect("/stills", 303)


@blueprint.post("/stills/<int:still>/remake")
def remake_for_still(still: int) -> Answer:
    """Make the recordings again for which the answer matters."""
    who, here = require_principal("rooms"), service()
    questions.get_still(here.engine, still)
    remade = remaking.remake(here.engine, still, who, here.now())
    flash(t("stills.remade", count=len(remade.records)))
    if remade.refused:
        flash(t("stills.not_remade", count=len(remade.refused)))
    return redirect("/stills", 303)


def open_stills() -> int:
    """Return how many questions wait for whoever reads a page."""
    who = g.get("principal")
    return questions.count_open(service().engine) if who and who.may("rooms") else 0


HELPERS = {"open_stills": open_stills}
