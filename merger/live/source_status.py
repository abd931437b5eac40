"""Whether media keeps coming from live sources: written by the recorder, read by everybody else.

A small file below the data folder for each source that is to be recorded now, written anew every
few seconds. Where it grows old, the recorder was killed, or hangs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from merger.config import Settings
from merger.i18n import Message, from_json, to_json
from merger.storage.files import make_folder, translate_write_errors

BELIEVED_FOR = timedelta(minutes=1)

How = Literal["coming", "silent", "unknown"]


@dataclass(frozen=True)
class SourceSign:
    """How a source that is to be recorded was at an instant. silent_since: None while it sends.

    why: it is silent, where that is known.
    """

    at: datetime
    silent_since: datetime | None = None
    why: Message | None = None


@dataclass(frozen=True)
class Flow:
    """How it is with the media of a source. since: it is silent, or nobody knows.

    unknown: the recorder gives no sign. why: it is silent, where that is known.
    """

    how: How
    since: datetime | None = None
    why: Message | None = None

    def silent_s(self, now: datetime) -> float:
        """Return for how long no media is known to come; 0 while it comes."""
        return 0.0 if self.since is None else max(0.0, (now - self.since).total_seconds())


def flow_of(sign: SourceSign, now: datetime) -> Flow:
    """Return what a sign means now. Pure."""
    if now - sign.at > BELIEVED_FOR:
        return Flow("unknown", sign.silent_since or sign.at)
    return Flow("silent", sign.silent_since, sign.why) if sign.silent_since else Flow("coming")


def write_sign(settings: Settings, source: int, sign: SourceSign | None) -> None:
    """Write down how it is with a source; None where it is not to be recorded any more.

    One recorder has a source at a time. Raises Temporary or Broken where it cannot be written.
    """
    path = _folder(settings) / f"{source}.json"
    with translate_write_errors(path.parent):
        if sign is None:
            path.unlink(missing_ok=True)
            return
        make_folder(path.parent, "MERGER_DATA")
        partial = path.with_suffix(".partial")
        since = sign.silent_since and sign.silent_since.isoformat()
        why = sign.why and to_json(sign.why)
        document = {"at": sign.at.isoformat(), "silent_since": since, "why": why}
        partial.write_text(json.dumps(document))
        partial.replace(path)


def remove_sign(settings: Settings) -> None:
    """Remove all signs, as a recorder does when it begins: others that live write theirs again."""
    with translate_write_errors(_folder(settings)):
        for path in _folder(settings).glob("*.json"):
            path.unlink(missing_ok=True)


def list_flows(settings: Settings, now: datetime) -> dict[int, Flow]:
    """Return how it is with the sources that are to be recorded now, by their numbers."""
    found = {}
    for path in _folder(settings).glob("*.json"):
        sign = _read(path)
        if sign is not None and path.stem.isdecimal():
            found[int(path.stem)] = flow_of(sign, now)
    return found


def _read(path: Path) -> SourceSign | None:
    try:
        document = json.loads(path.read_text())
        since = document["silent_since"] and datetime.fromisoformat(document["silent_since"])
        why = document.get("why") and from_json(document["why"])
        return SourceSign(datetime.fromisoformat(document["at"]), since or None, why or None)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # withdrawn this very moment


def _folder(settings: Settings) -> Path:
    return settings.data / "live"
