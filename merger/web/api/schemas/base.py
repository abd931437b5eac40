"""What the API takes and gives: the same models validate requests and make the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from merger.timeline.layout import LAYOUTS
from merger.timeline.profiles import PROFILES

Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
# Of local time in the room's zone, or with an offset.
Instant = Annotated[str, Field(examples=["2026-11-20T10:05"], max_length=40)]
# An instant in a query.
Since = Annotated[str, Field(examples=["2026-11-20T00:00:00+03:00"], max_length=40)]
# An instant that is shown, with the offset of the room.
At = Annotated[
    str, Field(examples=["2026-11-20T10:05:00+03:00"], json_schema_extra={"format": "date-time"})
]
Text = Annotated[str, Field(max_length=255)]
# Documented as what they can be; another one is refused with a sentence, which no schema could say.
Layout = Annotated[str, Field(max_length=255, json_schema_extra={"enum": list(LAYOUTS)})]
Profile = Annotated[str, Field(max_length=255, json_schema_extra={"enum": list(PROFILES)})]
Cursor = Annotated[str, Field(max_length=100)]
CURSOR_ABOUT = "`next` of the previous page."
Status = Literal["queued", "running", "delivered", "failed", "cancelled"]
Role = Literal["speaker", "screen", "board", "audio"]
UserRole = Literal["user", "editor", "admin"]
Scope = Literal["read", "write", "rooms", "people"]


class MessageData(BaseModel):
    """A sentence as data: `key` names its text, `params` are the values in it.

    Beside it stands the sentence itself, in English, or as Accept-Language says.
    """

    key: str
    params: dict[str, Any]


class RequestModel(BaseModel):
    """A request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")
