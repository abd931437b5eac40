"""Questions about the screens of rooms in the API."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from merger.web.api.schemas import examples
from merger.web.api.schemas.base import At, Id, RequestModel

Answer = Literal["presentation", "desktop", "lock", "standby", "screensaver", "no_signal"]


class StillPath(BaseModel):
    """The id of a picture that stood on a room's screen."""

    still: Id


class StillOut(BaseModel):
    """A picture that a room's screen showed on several days, and what editors say that it is."""

    model_config = examples.shown_by(examples.STILL)

    id: int
    room: str
    room_id: int
    zone: str
    asked_at: At
    answer: Answer | None = Field(description="Null while nobody has answered.")
    answered_by: str | None
    answered_at: At | None
    recordings: int = Field(description="In how many it was seen.")
    days: int
    seconds: int = Field(description="How long it stood, in all of them together.")
    at_start: int = Field(description="In how many of them it was there at the start.")
    at_end: int
    seen_at: list[At] = Field(description="When the last of them began.")
    to_remake: int = Field(description="How many were made without what is known now.")


class StillsOut(BaseModel):
    """What was asked: open questions first, then the latest answers."""

    stills: list[StillOut]


class StillAnswer(RequestModel):
    """What the picture is: a presentation, or what the room shows when nobody presents."""

    model_config = examples.shown_by(examples.STILL_ANSWER)

    answer: Answer
