"""The service's own table of courses: the course in Classroom of each code."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from merger.db.engine import reading, writing
from models import Course


def course_of(engine: Engine, code: str) -> str | None:
    """Return the course of a code, whatever its case; None if the code is not in the table."""
    with reading(engine) as session:
        row = session.get(Course, _key(code))
        return row.course_id if row else None


def list_courses(engine: Engine) -> dict[str, str]:
    """Return all codes and their courses."""
    with reading(engine) as session:
        rows = session.scalars(select(Course).order_by(Course.code))
        return {row.code: row.course_id for row in rows}


def set_courses(engine: Engine, courses: Mapping[str, str]) -> None:
    """Write the courses of some codes; an empty course removes a code."""

    def write(session: Session) -> None:
        for code, course in courses.items():
            session.execute(delete(Course).where(Course.code == _key(code)))
            if course:
                session.add(Course(code=_key(code), course_id=course))

    writing(engine, write)


def _key(code: str) -> str:
    return code.strip().casefold()
