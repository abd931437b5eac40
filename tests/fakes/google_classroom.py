"""Classroom and Sheets as far as we use them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.google_answers import Asked, Said, Wrong, parts_of

MOST_MATERIALS = 20


@dataclass
class Classroom:
    """Courses with their announcements. files: those of Drive, which a material must be."""

    files: Mapping[str, Any]
    announcements: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def answer(self, asked: Asked) -> Said:
        """Answer a call below /v1/courses."""
        parts = parts_of(asked.path)[1:]
        if parts == ["courses"]:
            return Said(document={"courses": [{"id": known} for known in self.announcements]})
        course = self.announcements.get(parts[1])
        if course is None:
            raise Wrong(404, "notFound", "Requested entity was not found.")
        if parts[2:3] == ["announcements"] and len(parts) == 4 and asked.method == "PATCH":
            return self._change(asked, course, parts[3])
        if parts[2:] != ["announcements"]:
            raise Wrong(501, "notImplemented", "The stand-in does not know this call.")
        if asked.method == "GET":
            return self._list(asked, course)
        body = json.loads(asked.body)
        materials = body.get("materials", [])
        if len(materials) > MOST_MATERIALS:
            raise Wrong(400, "failedPrecondition", "Too many materials.")
        for material in materials:
            if material["driveFile"]["driveFile"]["id"] not in self.files:
                raise Wrong(400, "failedPrecondition", "@AttachmentNotVisible")
        known = f"announcement{next(self._numbers)}"
        announcement = {
            "state": "DRAFT", **body, "id": known,
            "alternateLink": f"https://classroom.google.com/c/{parts[1]}/p/{known}",
        }  # fmt: skip
        course.append(announcement)
        return Said(document=announcement)

    def _change(self, asked: Asked, course: list[dict[str, Any]], known: str) -> Said:
        announcement = next((one for one in course if one["id"] == known), None)
        if announcement is None:
            raise Wrong(404, "notFound", "Requested entity was not found.")
        assert asked.query["updateMask"] == "text"
        announcement["text"] = json.loads(asked.body)["text"]
        return Said(document=announcement)

    def _list(self, asked: Asked, course: list[dict[str, Any]]) -> Said:
        found = course[::-1]  # the newest first, as we ask for
        start, size = int(asked.query.get("pageToken") or 0), int(asked.query.get("pageSize", 20))
        document: dict[str, Any] = {"announcements": found[start : start + size]}
        if start + size < len(found):
            document["nextPageToken"] = str(start + size)
        return Said(document=document)


@dataclass
class Sheets:
    """Spreadsheets: rows by the sheet's id and the range."""

    values: dict[tuple[str, str], list[list[str]]] = field(default_factory=dict)

    def put_tab(self, sheet: str, name: str, *lines: str) -> None:
        """Write a tab whose cells hold no commas."""
        quoted = name.replace("'", "''")
        self.values[sheet, f"'{quoted}'"] = [line.split(",") for line in lines]

    def _tabs(self, sheet: str) -> list[dict[str, Any]]:
        ranges = [range for known, range in self.values if known == sheet]
        if not ranges:
            raise Wrong(404, "notFound", "Requested entity was not found.")
        titles = [range[1:-1].replace("''", "'") for range in ranges]
        return [{"properties": {"title": title}} for title in titles]

    def answer(self, asked: Asked) -> Said:
        """Answer a call below /v4/spreadsheets."""
        parts = parts_of(asked.path)
        if len(parts) == 3:
            return Said(document={"sheets": self._tabs(parts[2])})
        rows = self.values.get((parts[2], parts[4]))
        if rows is None:
            raise Wrong(404, "notFound", "Requested entity was not found.")
        return Said(document={"range": parts[4], "values": rows})
