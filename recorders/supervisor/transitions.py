"""What becomes of a live source when something happens to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from merger.i18n import Message
from recorders.rtsp.capture_clock import from_epoch_us
from recorders.rtsp.wire import Arriving, Ended, Progress
from recorders.supervisor.schedule import Assignment, Purpose, pause_s
from recorders.supervisor.states import (
    AddHistory,
    Assigned,
    Connecting,
    Effect,
    Event,
    Joining,
    Killed,
    KillProcess,
    Leaving,
    Moment,
    Outage,
    Patience,
    Phase,
    ProcessEnded,
    Recording,
    Release,
    SourceState,
    StartFailed,
    StartProcess,
    Stopping,
    StopProcess,
    Tick,
    Unassigned,
    Waiting,
    Warn,
)

# In the history of one recording: a camera that comes and goes does so hundreds of times.
MOST_OUTAGES = 20
_SHORTEST_OUTAGE = timedelta(seconds=0.5)  # the pause before another try is longer
_ENOUGH_LOOKS = 2  # that saw nothing: the source is silent
_LASTING_FAILURES = 10  # after which the pause is the longest: trying may lock us out
_STOPS_WITHIN_S = 8.0  # a process reads for five seconds at most

Result = tuple[SourceState, tuple[Effect, ...]]


def transition(state: SourceState, event: Event, moment: Moment) -> Result:
    """Return a source after an event, and what is to be done, in this order."""
    match event:
        case Assigned():
            return _assign(state, event.assignment, moment)
        case Unassigned():
            return _stop(replace(state, is_wanted=False), moment)
        case Tick():
            return _tick(state, event.patience, moment)
        case StartFailed():
            return _pause(state, state.failures + 1, moment), ()
        case Arriving():
            return _note_arrival(state, moment), ()
        case Progress():
            return _note_progress(state, event, moment)
        case Ended():
            return _note_end(state, event), ()
        case ProcessEnded():
            return _end_process(state, event.status, moment)


def _assign(state: SourceState, assignment: Assignment, moment: Moment) -> Result:
    before = state.assignment
    state = replace(state, assignment=assignment, is_wanted=True)
    if assignment.is_recorded and not before.is_recorded:
        state = replace(state, since=moment.at, failures=0, empty_looks=())
        if isinstance(state.phase, Waiting):
            state = replace(state, phase=Waiting())
    purpose = _purpose(state.phase)
    is_another = (before.camera, before.address.url) != (assignment.camera, assignment.address.url)
    if purpose and (is_another or purpose != assignment.purpose):
        return _stop(state, moment)
    return state, ()


def _stop(state: SourceState, moment: Moment) -> Result:
    if isinstance(state.phase, Connecting | Joining | Recording):
        return replace(state, phase=Stopping(moment.at_s)), (StopProcess(),)
    return state, ()


def _tick(state: SourceState, patience: Patience, moment: Moment) -> Result:
    """Kill what hangs, report silence, start what is due, release what is not wanted."""
    phase = state.phase
    purpose = _purpose(phase)
    if purpose and (why := _silence(phase, patience, moment.at_s)):
        return replace(state, phase=Killed(purpose, why)), (KillProcess(),)
    if isinstance(phase, Stopping) and moment.at_s - phase.asked_s > _STOPS_WITHIN_S:
        return state, (KillProcess(),)
    if not state.is_wanted:
        if not isinstance(phase, Waiting):
            return state, ()
        state, effects = _end_outage(state, moment.at)
        return state, (*effects, Release())
    state, effects = _report_silence(state)
    is_due = state.assignment.is_recorded or state.is_to_be_looked_at
    if isinstance(phase, Waiting) and is_due and moment.at_s >= phase.until_s:
        purpose = state.assignment.purpose
        state = replace(state, phase=Connecting(purpose, moment.at_s))
        effects = (*effects, StartProcess(purpose))
    return state, effects


def _silence(phase: Phase, patience: Patience, at_s: float) -> Message | None:
    """Return why a process is to be killed, judged by what comes; None where it may go on."""
    match phase:
        case Connecting(begun_s=begun_s):
            return Message("recorders.no_answer") if at_s - begun_s > patience.open_s else None
        case Joining(first_s=key_s, newest_s=newest_s) | Recording(key_s=key_s, newest_s=newest_s):
            if at_s - newest_s > patience.media_s:
                return Message("recorders.sends_nothing")
            return Message("recorders.no_key_frame") if at_s - key_s > patience.key_s else None
        case _:
            return None


def _report_silence(state: SourceState) -> Result:
    """Report a source that is silent though a lecture begins soon."""
    if state.outage:
        why = state.outage.why
    elif len(state.empty_looks) >= _ENOUGH_LOOKS:
        why = state.empty_looks[-1]
    else:
        return state, ()
    due = tuple(record for record in state.assignment.soon if record not in state.looked_at)
    if not due:
        return state, ()
    message = Message("recorders.silent_before", source=_name(state), why=why)
    warning = Warn(f"silent before {', '.join(f'record {record}' for record in due)}", why)
    return replace(state, looked_at=state.looked_at.union(due)), (
        warning,
        AddHistory(due, "silent", message),
    )


def _note_arrival(state: SourceState, moment: Moment) -> SourceState:
    match state.phase:
        case Connecting(purpose=purpose):
            return replace(state, phase=Joining(purpose, moment.at_s, moment.at_s))
        case Joining() as phase:
            return replace(state, phase=replace(phase, newest_s=moment.at_s))
        case _:
            return state


def _note_progress(state: SourceState, progress: Progress, moment: Moment) -> Result:
    at = from_epoch_us(progress.at_us)
    phase = state.phase
    is_new = state.captured_at is None or at > state.captured_at
    if isinstance(phase, Recording):
        if progress.key_us != phase.key_us:
            phase = replace(phase, key_us=progress.key_us, key_s=moment.at_s)
        if is_new:
            phase = replace(phase, newest_s=moment.at_s)
    elif isinstance(phase, Connecting | Joining):
        is_new = True  # of a new connection, whatever the clock says now
        phase = Recording(progress.key_us, moment.at_s, moment.at_s)
    state = replace(state, phase=phase)
    if not is_new:
        return state, ()
    state, effects = _end_outage(state, from_epoch_us(progress.from_us))
    # No longer pauses for one that comes and goes: they would lose most of what it has.
    looked_at = state.looked_at.union(state.assignment.soon)
    state = replace(state, captured_at=at, failures=0, empty_looks=(), looked_at=looked_at)
    return state, effects


def _note_end(state: SourceState, ended: Ended) -> SourceState:
    if ended.code == "seen":
        looked_at = state.looked_at.union(state.assignment.soon)
        state = replace(state, looked_at=looked_at, empty_looks=())
    purpose = _purpose(state.phase)
    return replace(state, phase=Leaving(purpose, ended)) if purpose else state


def _end_process(state: SourceState, status: int, moment: Moment) -> Result:
    phase = state.phase
    state = replace(state, phase=Waiting())
    purpose = phase.purpose if isinstance(phase, Killed | Leaving) else _purpose(phase)
    if status == 0 or not state.is_wanted or purpose != state.assignment.purpose:
        return state, ()  # purpose: none where it was to stop
    code, why = _reason(phase, status)
    if purpose == "look":
        state = replace(state, empty_looks=(*state.empty_looks, why))
        pause = pause_s(len(state.empty_looks), moment.chance)
        return replace(state, phase=Waiting(moment.at_s + pause)), ()
    state, effects = _begin_outage(state, code, why)
    is_lasting = isinstance(phase, Leaving) and phase.ended.is_lasting
    failures = max(state.failures, _LASTING_FAILURES if is_lasting else 0) + 1
    return _pause(state, failures, moment), effects


def _reason(phase: Phase, status: int) -> tuple[str, Message]:
    match phase:
        case Killed(why=why):
            return "killed", why
        case Leaving(ended=ended):
            return ended.code, ended.why
        case _ if status < 0:
            return "killed", Message("recorders.killed")
        case _:
            return "crashed", Message("recorders.crashed", status=status)


def _pause(state: SourceState, failures: int, moment: Moment) -> SourceState:
    pause = pause_s(failures, moment.chance)
    return replace(state, failures=failures, phase=Waiting(moment.at_s + pause))


def _begin_outage(state: SourceState, code: str, why: Message) -> Result:
    """Note why there is no media, in an outage that may have begun before."""
    before = state.outage
    since, missing = (before.since, before.records) if before else (state.captured_until, ())
    records = tuple(dict.fromkeys((*missing, *state.assignment.records)))
    state = replace(state, outage=Outage(since, records, code, why))
    if before and before.code == code:
        return state, ()
    effects: list[Effect] = [Warn("no media", why)]
    if code == "disk_full":  # nobody has to wait for its end to learn of that
        message = Message("recorders.not_recorded", source=_name(state), why=why)
        loud = (r for r in state.assignment.records if state.outages.get(r, 0) < MOST_OUTAGES)
        effects += _history(loud, "disk_full", message)
    return state, tuple(effects)


def _end_outage(state: SourceState, until: datetime) -> Result:
    outage = state.outage
    if outage is None:
        return state, ()
    state = replace(state, outage=None)
    if until - outage.since < _SHORTEST_OUTAGE:
        return state, ()
    zone = state.assignment.camera.source.zone
    start, end = (f"{at.astimezone(zone):%H:%M:%S}" for at in (outage.since, until))
    seconds = round((until - outage.since) / timedelta(seconds=1))
    message = Message(
        "recorders.outage", source=_name(state), start=start, end=end, seconds=seconds,
        why=outage.why,
    )  # fmt: skip
    before = {record: state.outages.get(record, 0) for record in outage.records}
    state = replace(state, outages={**state.outages, **{r: n + 1 for r, n in before.items()}})
    return state, (
        Warn(f"no media from {start} to {end} ({seconds} s)", outage.why),
        *_history((r for r, n in before.items() if n < MOST_OUTAGES), "outage", message),
        *_history(
            (r for r, n in before.items() if n == MOST_OUTAGES),
            "outage",
            Message("recorders.more_outages", source=_name(state)),
        ),
    )


def _history(records: Iterable[int], kind: str, message: Message) -> tuple[AddHistory, ...]:
    whose = tuple(records)
    return (AddHistory(whose, kind, message),) if whose else ()


def _purpose(phase: Phase) -> Purpose | None:
    """Return what a process is at work for; None where none is."""
    match phase:
        case Connecting(purpose=purpose) | Joining(purpose=purpose):
            return purpose
        case Recording():
            return "record"
        case _:
            return None


def _name(state: SourceState) -> str:
    return state.assignment.camera.source.name
