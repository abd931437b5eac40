"""Chat, transcript and slides of a record on the time of its video, made with each version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from merger.records.processing import stage_results
from merger.storage import paths
from merger.storage.copying import sha256_of
from merger.timeline.captions import (
    Transcript,
    chapter_captions,
    chat_captions,
    transcript_captions,
)
from merger.timeline.layout import Size
from merger.timeline.plan import Chapter
from merger.timeline.report import Rendition
from merger.worker.work import Work

_MAKERS = {"chat": chat_captions, "transcript": transcript_captions}
_LARGEST = 20_000_000  # bytes that are read of a file: a day of talk is a tenth of that


def write_captions(work: Work, out: Path, chapters: Sequence[Chapter] = ()) -> list[Rendition]:
    """Write the captions of a record into a folder; return those of which there are any.

    Made of what was collected for it, as far as it is known where the times of that lie, and of the
    slides that its video shows.
    """
    written = []
    span, language = work.task.request.span, work.service.settings.language
    slides = chapter_captions(chapters, span, language)
    if slides is not None:
        written.append(_write(work, out, "chapters", slides))
    transcripts = stage_results.kept_transcripts(work.task.job.media)
    for kind, captions_of in _MAKERS.items():
        contents = [
            (transcript, content)
            for transcript in transcripts
            if transcript.kind == kind and (content := _content_of(work, transcript)) is not None
        ]
        text = captions_of(contents, span)
        if text is not None:
            written.append(_write(work, out, kind, text))
    return written


def _write(work: Work, out: Path, kind: str, text: str) -> Rendition:
    path = out / f"{kind}.vtt"
    path.write_text(text, encoding="utf-8", newline="\n")
    size_bytes, sha256 = path.stat().st_size, sha256_of(path, work.lease.check)
    return Rendition(kind, path, 0, Size(0, 0), "", size_bytes, sha256)


def _content_of(work: Work, transcript: Transcript) -> bytes | None:
    """Return what a file holds; None where it is not there any more."""
    folder = paths.transcripts_of(work.service.settings.data, work.lease.record)
    try:
        with (folder / transcript.name).open("rb") as file:
            return file.read(_LARGEST)
    except FileNotFoundError:  # a video is made all the same
        return None
