"""What some pictures of a chunk of a screen show together: whether there is a presentation."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from merger.analysis.cards import Card
from merger.analysis.looking import look_at
from merger.analysis.targets import Sight, Target, pick_evenly, targets
from merger.i18n import Message
from merger.isolation import reader
from merger.isolation.reader import Unreadable
from merger.timeline.clock import Span, Track
from merger.timeline.media import MediaFile
from merger.timeline.plan import Chunk, Verdict

MOST_PICTURES = 6  # of a chunk, that people may look at


@dataclass(frozen=True)
class Look:
    """What looking at a chunk has shown: what was decided, why, and some of the pictures.

    Args:
        pictures: plain values, in order of time: {"at": ISO, "verdict", "jpeg": in base64}.
        warnings: about files that could not be looked at.
    """

    chunk: Chunk
    reasons: list[Message]
    pictures: list[dict[str, str]]
    warnings: list[Message] = field(default_factory=list)


def sample_chunk(
    chunk: Span,
    track: Track | None,
    media: Mapping[str, MediaFile],
    own_cards: Sequence[Card] = (),
    *,
    reads: bool = True,
) -> Look:
    """Look at a chunk of the screen and decide presence.

    Args:
        own_cards: the user's "no signal" cards, beside those that ship.
        reads: whether words are evidence, too.
    """
    if track is None:
        return Look(Chunk(chunk, False, "missing", Fraction(0), 0), [], [])
    wanted, missing = targets(chunk, track, media)
    wanted.sort(key=lambda target: _instant(track, target))
    to_show = pick_evenly(wanted, MOST_PICTURES)
    verdicts: list[Verdict] = ["missing"] * missing
    reasons: Counter[tuple[Verdict, Message]] = Counter()
    pictures: list[dict[str, str]] = []
    warnings: list[Message] = []
    by_file: dict[str, list[Target]] = {}
    for target in wanted:
        by_file.setdefault(target.file, []).append(target)
    for file, of_file in by_file.items():
        try:
            sights = reader.call(look_at, media[file], of_file, to_show, own_cards, reads=reads)
        except Unreadable as error:  # as pictures that cannot be decoded
            name = media[file].path.name
            warnings.append(Message("media.of_file", file=name, what=error.message))
            continue
        for sight in sights:
            verdicts.append(sight.verdict)
            reasons[sight.verdict, sight.reason] += 1
            if sight.jpeg is not None:
                pictures.append(_picture_facts(_instant(track, sight.target), sight))
    pictures.sort(key=lambda picture: datetime.fromisoformat(picture["at"]))  # files may overlap
    why = [
        Message("analysis.reason", count=count, verdict=Message(f"verdict.{verdict}"), why=reason)
        for (verdict, reason), count in reasons.most_common(3)
    ]
    return Look(decide_chunk(chunk, verdicts), why, pictures, warnings)


def _instant(track: Track, target: Target) -> datetime:
    """Return when the picture of a target was taken: a file that was paused has several clocks."""
    of_file = [clip.segment for clip in track.clips if clip.segment.file == target.file]
    holding = (s for s in of_file if any(target.at_us in stretch for stretch in s.pictures))
    return next(holding, of_file[0]).clock.wall(target.at_us)


def _picture_facts(at: datetime, sight: Sight) -> dict[str, str]:
    assert sight.jpeg is not None
    jpeg = base64.b64encode(sight.jpeg).decode()
    return {"at": at.isoformat(), "verdict": sight.verdict, "jpeg": jpeg}


def decide_chunk(chunk: Span, verdicts: Sequence[Verdict]) -> Chunk:
    """Return what the samples of a chunk mean together.

    Pure. Presence: more than half of the samples that had a picture are a presentation.
    """
    present = [v for v in verdicts if v != "missing"]
    share = Fraction(sum(v == "presentation" for v in present), len(present) or 1)
    commonest: Verdict = Counter(verdicts).most_common(1)[0][0] if verdicts else "missing"
    return Chunk(chunk, share > Fraction(1, 2), commonest, share, len(verdicts))
