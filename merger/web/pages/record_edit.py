"""The form on a record's page that changes its name, description, course and people."""

from __future__ import annotations

from flask import flash, redirect, request

from merger.accounts.external import requester_of
from merger.errors import InvalidFields, Refused
from merger.records import edit
from merger.web.auth import require_principal, service
from merger.web.language import phrases_of, t
from merger.web.pages.base import Answer, Errors, blueprint, field_problem, phrases_of_error
from merger.web.pages.records import details_of, form_values, page_of_record
from merger.web.pages.request import parse_addresses

TEXTS = ("name", "description", "course_code")


@blueprint.post("/records/<int:record>/edit")
def change_record(record: int) -> Answer:
    """Change a record; people who joined it since the form was opened stay."""
    who = require_principal("write")
    typed = {name: request.form.get(name, "") for name in (*TEXTS, "users", "users_before")}
    errors: Errors = {}
    if not typed["name"].strip():
        errors["name"] = field_problem("missing")
    wanted = parse_addresses(typed["users"], errors)
    before = typed["users_before"].split()
    changes = edit.Edit(
        {name: typed[name] for name in TEXTS},
        added=[email for email in wanted if email not in before],
        removed=[email for email in before if email not in wanted],
    )
    if not errors:
        try:
            edit.edit_record(
                service().engine, record, changes, service().now(), who,
                requester_of(who, service().settings),
            )  # fmt: skip
        except InvalidFields as error:
            errors |= {name: phrases_of(why) for name, why in error.fields.items()}
        except Refused as error:
            if error.code not in typed:
                raise
            errors[error.code] = phrases_of_error(error)
    if errors:
        require_principal("read")  # a key that may only write is not shown the record
        details = details_of(record, who)
        return page_of_record(details, who, form_values(details), {}, typed, errors)
    flash(t("edit.saved"))
    return redirect(f"/records/{record}", 303)
