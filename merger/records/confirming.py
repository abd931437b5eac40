"""An external user confirms that they want what they were named for, and gets what they missed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from merger.accounts import external
from merger.db.engine import reading, writing
from merger.records import outbox


def confirm_address(engine: Engine, token: str, now: datetime) -> None:
    """Confirm the address of the user to whom a link was sent, and queue what they have missed.

    Raises:
        NotFound: no such link was sent, or not at last.
    """

    with reading(engine) as session:  # whoever has no link locks nothing
        external.user_of_token(session, token)

    def write(session: Session) -> None:
        user = external.user_of_token(session, token)
        if external.confirm(session, user, now):
            outbox.add_missed(session, user, now)

    writing(engine, write)
