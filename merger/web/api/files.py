"""The API: videos and pictures themselves, which players and pages show."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from flask import Response, request, send_file
from pydantic import Field
from werkzeug.datastructures import ContentRange
from werkzeug.exceptions import PreconditionFailed, RequestedRangeNotSatisfiable

from merger.accounts.room_policy import may_request, policy_of_json
from merger.analysis import thumbnails
from merger.errors import NotFound
from merger.records.browse import files, previews, slides
from merger.records.stills import questions
from merger.rooms import store
from merger.storage import paths
from merger.timeline.files.filenames import VIDEOS
from merger.web.api import base
from merger.web.api.schemas.base import RequestModel
from merger.web.api.schemas.records import RecordPath
from merger.web.api.schemas.rooms import SourcePath
from merger.web.api.schemas.stills import StillPath
from merger.web.auth import require_principal, service

blueprint = base.resources("files", "Videos, transcripts and pictures.")

_VIDEO, _CAPTIONS, _JPEG = "video/mp4", "text/vtt", "image/jpeg"
# Whoever has one asks each time whether it is still the same: a version has the same address.
_OWN = "private, no-cache"
_PREVIEW = "private, max-age=300"  # a list of them is looked at again and again
_LASTS_S = 30  # of the picture of a source
_BLOCK = 1 << 16  # bytes


class RenditionPath(RecordPath):
    """The id of a record, and the kind of rendition."""

    kind: Literal["merge", "backup", "transcript", "chat", "chapters"]


class PaperPath(RecordPath):
    """The name of a transcript, as listed in `papers` of the record."""

    name: str


class Download(RequestModel):
    """How the file is sent."""

    download: bool = Field(False, description="Send it as an attachment with a readable file name.")


class Newest(RequestModel):
    """Which picture a page shows."""

    at: int | None = Field(
        None, description="Not read: a browser takes another address for another picture."
    )


class PicturePath(RecordPath):
    """A picture of a chunk; both are counted from 0, in the order of the record."""

    chunk: Annotated[int, Field(ge=0, le=2**31 - 1)]
    number: Annotated[int, Field(ge=0, le=2**31 - 1)]


class SlidePath(RecordPath):
    """A slide of the record, counted from 0 in the order of its `chapters`."""

    number: Annotated[int, Field(ge=0, le=2**15 - 1)]


def _file(what: str, *kinds: str) -> dict[str, Any]:
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    return {"description": what, "content": content}


_WHOLE: dict[Any, Any] = {
    "304": {"description": "Not modified"},
    "412": {**base.PROBLEMS["400"], "description": "It no longer matches If-Match"},
}
_IN_PIECES: dict[Any, Any] = {
    **_WHOLE,
    "416": {**base.PROBLEMS["400"], "description": "The range is beyond the end of the file"},
}


@blueprint.get(
    "/records/<int:record>/renditions/<kind>",
    responses={
        "200": _file("The video, or its captions", _VIDEO, _CAPTIONS),
        "206": _file("A range of it", _VIDEO, _CAPTIONS), **_IN_PIECES,
    },
    operation_id="downloadRendition",
)  # fmt: skip
def rendition(path: RenditionPath, query: Download) -> Response:
    """Download a video or its captions, or ranges of it: of the version delivered last, or about
    to be.
    """
    who = require_principal("read")
    file = files.rendition_file(service().engine, path.record, path.kind, who.only_of)
    gone = NotFound("rendition", "web.rendition_gone", kind=path.kind, record=path.record)
    if file.path is None:
        raise gone
    return _send(
        service().settings.data / file.path, gone, _OWN,
        mimetype=_VIDEO if path.kind in VIDEOS else _CAPTIONS, etag=file.sha256,
        download_name=file.name, as_attachment=query.download,
    )  # fmt: skip


def _send(path: Path, gone: NotFound, cache: str, *, etag: str = "", **options: Any) -> Response:
    """Return a file, or the requested range of it, or that it has not changed.

    Args:
        path: of the file.
        gone: raised if it is not there.
        cache: the header Cache-Control.
        etag: of the file; empty for one of its time and size.
        options: of `send_file`.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:  # housekeeping was quicker
        raise gone from error
    there = os.fstat(file.fileno())
    response = send_file(
        file, conditional=False, last_modified=there.st_mtime,
        etag=etag or f"{there.st_mtime_ns:x}-{there.st_size:x}", **options,
    )  # fmt: skip
    response.content_length = there.st_size
    response.headers["Cache-Control"] = cache
    _check_conditions(response, accept_ranges=True)
    requested = _requested_range(response)
    if requested is None:
        return response
    start, end = _bounds(requested, there.st_size)
    if start >= end:
        response.close()
        raise RequestedRangeNotSatisfiable(there.st_size)
    response.status_code = 206
    response.content_range = ContentRange("bytes", start, end, there.st_size)
    response.content_length = end - start
    file.seek(start)
    # Waitress itself sends a file, from its position and as long as the response says, and keeps no
    # thread waiting for a slow reader. Another server gets the blocks from us.
    if not hasattr(response.response, "prepare"):
        response.direct_passthrough = False
        response.response = _blocks(file, end - start)
        response.call_on_close(file.close)
    return response


def _check_conditions(response: Response, **options: Any) -> None:
    """Apply the conditions of the request, such as If-None-Match. Raises PreconditionFailed."""
    response.make_conditional(request, **options)
    if response.status_code == 412:
        response.close()  # the file that it would send
        raise PreconditionFailed


def _requested_range(response: Response) -> tuple[int, int | None] | None:
    """Return the range of a file that the request names; None for all of it.

    RFC 9110, 14.2: ranges are for GET, and one that is not understood, or several, may be ignored.
    """
    ranges = request.range
    if request.method != "GET" or response.status_code != 200 or not response.content_length:
        return None
    if ranges is None or ranges.units != "bytes" or len(ranges.ranges) != 1:
        return None
    condition = request.if_range
    if condition.date is not None and condition.date != response.last_modified:
        return None
    if condition.etag is not None and condition.etag != response.get_etag()[0]:
        return None
    if request.headers.get("If-Range", "").lower().startswith("w/"):  # weak: not byte for byte
        return None
    start, end = ranges.ranges[0]
    return start, end


def _bounds(requested: tuple[int, int | None], size: int) -> tuple[int, int]:
    """Return first byte and end of a range in a file; a negative start counts from the end."""
    start, end = requested
    if start < 0:
        return max(start + size, 0), size
    return start, min(size if end is None else end, size)


def _blocks(file: BinaryIO, length: int) -> Iterator[bytes]:
    while block := file.read(min(_BLOCK, length)):
        length -= len(block)
        yield block


@blueprint.get(
    "/records/<int:record>/papers/<name>",
    responses={
        "200": _file("The text", "text/plain"), "206": _file("A range of it", "text/plain"),
        **_IN_PIECES,
    },
    operation_id="downloadPaper",
)  # fmt: skip
def paper(path: PaperPath) -> Response:
    """Download a transcript or a chat that belongs to the record."""
    who = require_principal("read")
    files.check_transcript(service().engine, path.record, path.name, who.only_of)
    return _send(
        paths.transcripts_of(service().settings.data, path.record) / path.name,
        NotFound("paper", "web.transcript_gone", name=path.name, record=path.record), _OWN,
        mimetype="text/plain", download_name=path.name, as_attachment=True,
    )  # fmt: skip


@blueprint.get(
    "/records/<int:record>/chunks/<int:chunk>/pictures/<int:number>",
    responses={"200": _file("The picture", _JPEG), **_WHOLE},
    operation_id="showChunkPicture",
)
def chunk_picture(path: PicturePath) -> Response:
    """Get a picture of the screen that was checked in a chunk."""
    who = require_principal("read")
    picture = files.chunk_picture(
        service().engine, path.record, path.chunk, path.number, who.only_of
    )
    return _picture(picture, _OWN)


def _picture(picture: bytes, cache: str) -> Response:
    response = Response(picture, mimetype=_JPEG, headers={"Cache-Control": cache})
    response.add_etag()
    _check_conditions(response)
    return response


@blueprint.get(
    "/records/<int:record>/chapters/<int:number>/picture",
    responses={"200": _file("The picture", _JPEG), **_WHOLE},
    operation_id="showSlide",
)
def slide_picture(path: SlidePath) -> Response:
    """Get a small picture of a slide."""
    who = require_principal("read")
    picture = slides.slide_picture(service().engine, path.record, path.number, who.only_of)
    return _picture(picture, _OWN)


@blueprint.get(
    "/records/<int:record>/picture",
    responses={"200": _file("The picture", _JPEG), **_WHOLE},
    operation_id="showRecordPicture",
)
def record_picture(path: RecordPath) -> Response:
    """Get the first slide of a record, or else a picture of its video; 404 where there is none."""
    who = require_principal("read")
    return _picture(
        previews.picture_of_record(service().engine, path.record, who.only_of), _PREVIEW
    )


@blueprint.get(
    "/stills/<int:still>/picture",
    responses={"200": _file("The picture", _JPEG), **_WHOLE},
    operation_id="showStillPicture",
)
def still_picture(path: StillPath) -> Response:
    """Get the picture that stood on a room's screen, and that a question is about."""
    require_principal("rooms")
    return _picture(questions.picture_of(service().engine, path.still), _OWN)


@blueprint.get(
    "/rooms/<int:room>/sources/<int:source>/picture",
    responses={
        "200": _file("The picture", _JPEG), "206": _file("A range of it", _JPEG), **_IN_PIECES,
    },
    operation_id="showSourcePicture",
)  # fmt: skip
def source_picture(path: SourcePath, query: Newest) -> Response:
    """Get the latest picture of a source; Last-Modified says when it was taken.

    For those who may request recordings there; those of meetings are for editors.
    """
    del query  # it is for browsers
    who = require_principal("read")
    room = store.get_room(service().engine, path.room)
    shown = next((source for source in room["sources"] if source["id"] == path.source), None)
    if shown is None:
        raise NotFound("source", "web.no_source", room=path.room, source=path.source)
    none = NotFound("picture", "web.no_picture", source=path.source)
    is_for_them = may_request(policy_of_json(room["requesters"]), who)
    if not (is_for_them and who.sees_pictures_of(shown["kind"])):
        raise none
    return _send(
        thumbnails.picture_path(service().settings, path.source), none,
        f"private, max-age={_LASTS_S}", mimetype=_JPEG,
    )  # fmt: skip
