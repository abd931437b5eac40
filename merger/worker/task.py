"""What a record asks for, checked: its room, its sources with their recorders, when it is due."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from merger.db.engine import reading
from merger.errors import Refused
from merger.ports.recorder import Leave, Recorder, SourceOfRoom, fills_roles
from merger.records.leave import leave_of
from merger.records.processing.jobs import Job, SourceRow
from merger.records.rules.due import due_at
from merger.render.context import MergeRequest
from merger.service import Service
from merger.timeline.clock import LONGEST_RECORD, record_span
from merger.timeline.layout import layout_named
from merger.timeline.plan import Overrule, Sources
from merger.timeline.profiles import profile_named
from merger.timeline.screen.decisions import decide_named, right_named
from merger.timeline.zones import zone_named


@dataclass(frozen=True)
class Task:
    """A record whose request has been checked.

    A source that fills several roles is several sources here, of one id.
    """

    job: Job
    request: MergeRequest
    sources: tuple[tuple[SourceRow, SourceOfRoom, Recorder], ...]
    due: datetime


def resolve_task(service: Service, job: Job) -> Task:
    """Return what a record asks for. Raises Refused with a reason for its owner."""
    if job.room is None:
        raise Refused("room", "worker.room_gone")
    zone = zone_named(job.zone)
    span = record_span(job.start, job.end)
    layout_named(job.layout)
    profile_named(job.profile)
    sources, candidates = _choose_sources(service, job, job.room)
    if not 1 <= job.chunk_s <= LONGEST_RECORD.total_seconds():
        raise Refused("chunk", "worker.chunk", room=job.room, seconds=job.chunk_s)
    given = _leave_of(service, job)
    found = []
    for source in candidates:
        port = SourceOfRoom(
            job.room, source.name, source.role, source.kind, source.address, zone,
            source.credentials, source.id, given,
        )  # fmt: skip
        recorder = service.recorder_of(source.kind)
        recorder.check(port)
        found.append((source, port, recorder))
    request = MergeRequest(
        room=job.room, span=span, zone=zone, sources=sources, name=job.name, profile=job.profile,
        layout=job.layout, chunk=timedelta(seconds=job.chunk_s), decide=decide_named(job.decide),
        both_after=None if job.both_after_s is None else timedelta(seconds=job.both_after_s),
        overrules=tuple(
            Overrule(record_span(*map(datetime.fromisoformat, (start, end))), right_named(right))
            for start, end, right in job.media.get("overrules", ())
        ),
        screen_is_known=any(s.name == sources.screen and fills_roles(r) for s, _, r in found),
    )  # fmt: skip
    settle = max(recorder.settle for _, _, recorder in found)
    return Task(job, request, tuple(found), due_at(span.end, settle, zone))


def _leave_of(service: Service, job: Job) -> Leave | None:
    if "leave" not in job.media:
        return None
    with reading(service.engine) as session:
        return leave_of(session, job.media)


def _choose_sources(service: Service, job: Job, room: str) -> tuple[Sources, list[SourceRow]]:
    """Return which source of a room plays which role, and the rows of those that do.

    Raises Refused where one is missing.
    """
    by_role: dict[str, SourceRow] = {}
    for source in job.sources:
        by_role.setdefault(source.role, source)
    extra = _extra_roles(by_role, service.recorder_of)
    by_role |= extra
    if "speaker" not in by_role:
        raise Refused("speaker", "worker.no_speaker", room=room)
    audio = by_role.get("audio")
    if job.sound_source is not None:
        audio = next((s for s in job.sources if s.name == job.sound_source), None)
        if audio is None:
            raise Refused(
                "sound_source", "worker.no_sound_source", room=room, source=job.sound_source
            )
    names = {role: source.name for role, source in by_role.items()}
    sources = Sources(
        names["speaker"], names.get("screen"), names.get("board"), audio.name if audio else None
    )
    return sources, [s for s in (*job.sources, *extra.values()) if s.name in sources.names]


def _extra_roles(
    by_role: Mapping[str, SourceRow], recorder_of: Callable[[str], Recorder]
) -> dict[str, SourceRow]:
    """Return the sources that others are, too, in roles that no source of the room has.

    No name in the tables holds a slash.
    """
    extra: dict[str, SourceRow] = {}
    for source in by_role.values():
        for role in fills_roles(recorder_of(source.kind)):
            if role not in by_role:
                also = replace(source, name=f"{source.name}/{role}", role=role)
                extra.setdefault(role, also)
    return extra


def drop_empty_screen(task: Task, having: Collection[str]) -> Task:
    """Return a task without a screen that is another source, too, and turned out to have nothing.

    So one view alone fills the canvas.

    Args:
        having: the names of the sources that have media.
    """
    sources = task.request.sources
    screen = sources.screen
    if screen is None or screen in having or screen in [s.name for s in task.job.sources]:
        return task
    request = replace(task.request, sources=replace(sources, screen=None), screen_is_known=False)
    return replace(task, request=request)
