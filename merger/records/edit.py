"""What people change of a record that is there: its name, description, course, and who has it.

A worker may be at it meanwhile: nothing is written that a fence protects. What it has not delivered
yet it reads anew before it delivers (`merger.worker.work`); what was delivered, or is being, is
brought up to date afterwards (`Record.is_outdated`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from merger.accounts.external import Requester
from merger.accounts.permissions import Principal
from merger.db.engine import writing
from merger.errors import InvalidFields, Refused
from merger.i18n import Message
from merger.mail_address import email_of
from merger.names import LONGEST_NAME, clean_name
from merger.records import outbox
from merger.records.event_links import keep_texts
from merger.records.lookup import check_owner, lock_record
from merger.records.processing.queue import add_history, queue_update
from merger.records.requests import MOST_USERS, add_users, note_leavers
from models import Record

LONGEST_DESCRIPTION = 4000
_COLUMNS = {"name": "event_name", "description": "description", "course_code": "course_code"}


@dataclass(frozen=True)
class Edit:
    """What somebody changes of a record.

    texts: `name`, `description` and `course_code`; what is left out stays. users: addresses of all
    who are to have it; None leaves them. added, removed: or those by whom they differ from what
    somebody has seen.
    """

    texts: Mapping[str, str | None] = field(default_factory=dict)
    users: Sequence[str] | None = None
    added: Sequence[str] = ()
    removed: Sequence[str] = ()


def edit_record(
    engine: Engine, record: int, edit: Edit, now: datetime, by: Principal, naming: Requester | None
) -> bool:
    """Change a record, and return whether anything is different. The owner may, and editors.

    Args:
        by: who does.
        naming: as whom they name users.

    Raises:
        InvalidFields, Invalid, NotFound, Forbidden
    """
    edit = check_edit(edit)
    return writing(engine, lambda session: apply_edit(session, record, edit, now, by, naming))


def apply_edit(
    session: Session,
    record: int,
    edit: Edit,
    now: datetime,
    by: Principal,
    naming: Requester | None,
) -> bool:
    """Change a record within a transaction, as `edit_record` does.

    Args:
        edit: as `check_edit` returns it.
    """
    row = lock_record(session, record, by.only_of)
    check_owner(row, by.only_of)
    lines = _change_texts(row, edit.texts, by)
    if lines:
        keep_texts(session, row)
        _queue_update(row, now)
    lines += _change_users(session, row, edit, now, by, naming)
    for line in lines:
        add_history(session, record, row.attempt, now, "edited", line)
    if lines:
        row.updated_at = now
    return bool(lines)


def update_texts(row: Record, texts: Mapping[str, str | None], now: datetime) -> None:
    """Give a record other texts that no person has chosen, and what is delivered of it, too.

    Args:
        row: locked.
        texts: as those of an `Edit`.
    """
    for name, text in texts.items():
        setattr(row, _COLUMNS[name], text)
    row.updated_at = now
    _queue_update(row, now)


def _queue_update(row: Record, now: datetime) -> None:
    """Have what was delivered of a record get the texts that it has now."""
    if row.status == "delivered":
        queue_update(row, now)
    elif row.status == "running" or row.delivered_version is not None:
        row.is_outdated = True  # when that is done, whatever comes of it


def check_edit(edit: Edit) -> Edit:
    """Return what is to be changed in the form in which it is kept. Raises InvalidFields."""
    wrong: dict[str, Message] = {}
    texts = dict(edit.texts)
    for name in texts.keys() & {"name", "course_code"}:
        texts[name] = clean_name(texts[name] or "") or None
    if "description" in texts:
        texts["description"] = clean_text(texts["description"] or "") or None
    if "name" in texts and texts["name"] is None:
        wrong["name"] = Message("error.missing")
    for name, text in texts.items():
        longest = LONGEST_DESCRIPTION if name == "description" else LONGEST_NAME
        if len(text or "") > longest:
            wrong[name] = Message("error.too_long", longest=longest)
    lists = {"users": edit.users or (), "added": edit.added, "removed": edit.removed}
    for name, emails in lists.items():
        try:
            lists[name] = [email_of(email, "users", is_known=True) for email in emails]
        except Refused as error:
            wrong["users"] = error.message
    if wrong:
        raise InvalidFields(wrong)
    users = None if edit.users is None else lists["users"]
    return Edit(texts, users, lists["added"], lists["removed"])


def clean_text(text: str) -> str:
    """Return a text of several lines, without characters that decide how it is shown. Pure."""
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(clean_name(line) for line in lines).strip()


def _change_texts(row: Record, texts: Mapping[str, str | None], by: Principal) -> list[Message]:
    """Change the texts of a record; return what the history says of it."""
    lines = []
    for name, text in texts.items():
        before = getattr(row, _COLUMNS[name])
        if before != text:
            setattr(row, _COLUMNS[name], text)
            lines.append(
                Message(
                    f"history.edited.{name}" if text else f"history.emptied.{name}",
                    email=by.email, text=text or "",
                )
            )  # fmt: skip
        if name == "name":  # whoever says how it is called means it
            for entry in row.users:
                entry.title = None if entry.user_id == by.user else entry.title
    return lines


def _change_users(
    session: Session,
    row: Record,
    edit: Edit,
    now: datetime,
    by: Principal,
    naming: Requester | None,
) -> list[Message]:
    """Add and remove users of a record; return what the history says of it."""
    present = [entry.user.email for entry in row.users]
    removed = {*edit.removed} & {*present}
    if edit.users is not None:
        removed = {*present} - {*edit.users}
    if present and present[0] in removed:
        raise InvalidFields({"users": Message("records.owner_stays", email=present[0])})
    wanted = edit.added if edit.users is None else edit.users
    new = [email for email in wanted if email not in present]
    if len(new) > MOST_USERS:
        raise InvalidFields({"users": Message("records.too_many_users", most=MOST_USERS)})
    lines = []
    if removed:
        gone = [email for email in present if email in removed]
        leaving = [entry.user_id for entry in row.users if entry.user.email in removed]
        note_leavers(session, row, leaving)
        row.users = [entry for entry in row.users if entry.user.email not in removed]
        for email in gone:
            outbox.forget_user(session, row, email)
        lines.append(Message("history.removed_users", email=by.email, users=tuple(gone)))
    if added := add_users(session, row, new, now, naming):
        lines.append(Message("history.added_users", email=by.email, users=tuple(added)))
    for position, entry in enumerate(row.users):
        entry.position = position
    return lines
