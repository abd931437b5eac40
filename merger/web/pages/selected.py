"""What asks before it is done: cancelling a record, and what editors do to several at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import flash, redirect, render_template, request
from werkzeug.exceptions import NotFound

from merger.accounts.permissions import Principal
from merger.errors import Forbidden, Refused
from merger.records import actions, views
from merger.web.auth import require_principal, service
from merger.web.language import phrases_of, t
from merger.web.pages.base import Answer, blueprint
from models import ENDED

_MOST = 100  # records at once; a page of the list has fewer
_ACTS: Mapping[str, Callable[..., Any]] = {"cancel": actions.cancel, "delete": actions.withdraw}


@blueprint.get("/records/selected")
def ask_about_selected() -> Answer:
    """Ask whether something is to be done to several records, and say what will happen to each."""
    who = _editor()
    act, records = _act(request.args), []
    for record in _ids(request.args.getlist("record")):
        try:
            records.append(views.record_summary_of(service().engine, record, who.only_of))
        except Refused:  # it has gone since the list was opened
            continue
    return ask_about(act, records, _back(request.args), "/records/selected")


@blueprint.post("/records/selected")
def act_on_selected() -> Answer:
    """Cancel or delete several records; those for which it is not possible stay as they are."""
    who = _editor()
    act, done = _act(request.form), 0
    for record in _ids(request.form.getlist("record")):
        try:
            _ACTS[act](service().engine, record, service().now(), who.only_of)
            done += 1
        except Refused as error:
            flash("; ".join(phrase.text for phrase in phrases_of(error.message)))
    if done:
        flash(
            t("selected.canceled", count=done)
            if act == "cancel"
            else t("selected.deleted", count=done)
        )
    return redirect(_back(request.form), 303)


def ask_about(
    act: str, records: Sequence[Mapping[str, Any]], back: str, action: str | None = None
) -> str:
    """Return a page that asks whether to do something to records.

    Args:
        act: cancel or delete.
        records: their documents.
        back: where whoever changes their mind goes.
        action: where the form is sent; None for the address of this page.
    """
    what = [(record, consequence(act, record)) for record in records]
    return render_template(
        "ask.html", act=act, what=what, back=back, action=action or request.path,
        names_records=action is not None,
        is_possible=any(not is_vain(will) for _, will in what),
    )  # fmt: skip


def consequence(act: str, record: Mapping[str, Any]) -> str:
    """Return in a word what something will do to a record. Pure."""
    if act == "delete":
        return "not_deleted" if record["status"] == "running" else "deleted"
    if record["status"] in ENDED or record["version"] == record["delivered_version"]:
        return "not_cancelled"
    if record["delivered_version"] is not None:
        return "version_cancelled"
    return "stopped" if record["status"] == "running" else "cancelled"


def is_vain(will: str) -> bool:
    """Return whether a consequence is none."""
    return will.startswith("not_")


def _editor() -> Principal:
    who = require_principal("write")
    require_principal("read")
    if not who.sees_all:
        raise Forbidden("forbidden", "web.editors_only")
    return who


def _act(values: Mapping[str, str]) -> str:
    act = values.get("act", "")
    if act not in _ACTS:
        raise NotFound
    return act


def _ids(texts: Sequence[str]) -> list[int]:
    ids = [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) <= 18]
    return list(dict.fromkeys(ids))[:_MOST]


def _back(values: Mapping[str, str]) -> str:
    """Return the list that somebody came from; nothing else, for anybody may write an address."""
    back = values.get("back", "")
    return back if back.startswith("/records?") else "/records"
