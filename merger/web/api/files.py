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

from merger.analysis import thumbnails
from merger.errors import Refused
from merger.records import views
from merger.rooms import store
from merger.storage import paths
from merger.web.api import base
from merger.web.api.schemas.base import Taken
from merger.web.api.schemas.records import RecordPath
from merger.web.api.schemas.rooms import SourcePath
from merger.web.auth import require_principal, service

blueprint = base.resources("files", "Videos, transcripts and pictures.")

_VIDEO, _JPEG = "video/mp4", "image/jpeg"
# Whoever has one asks each time whether it is still the same: a version has the same address.
_OWN = "private, no-cache"
_LASTS_S = 30  # of the picture of a source
_BLOCK = 1 << 16  # bytes


class RenditionPath(RecordPath):
    """The id of a record, and the kind of rendition."""

    kind: Literal["merge", "backup"]


class PaperPath(RecordPath):
    """The name of a transcript, as listed in `papers` of the record."""

    name: str


class Download(Taken):
    """How the video is sent."""

    download: bool = Field(False, description="Send it as an attachment with a readable file name.")


class PicturePath(RecordPath):
    """A picture of a chunk; both are counted from 0, in the order of the record."""

    chunk: Annotated[int, Field(ge=0, le=2**31 - 1)]
    number: Annotated[int, Field(ge=0, le=2**31 - 1)]


def _given(what: str, kind: str) -> dict[str, Any]:
    content = {kind: {"schema": {"type": "string", "format": "binary"}}}
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
        "200": _given("The video", _VIDEO), "206": _given("The range", _VIDEO), **_IN_PIECES,
    },
    operation_id="downloadRendition",
)  # fmt: skip
def rendition(path: RenditionPath, query: Download) -> Response:
    """Download a video or ranges of it: the version delivered last, or about to be."""
    who = require_principal("read")
    file = views.rendition_file(service().engine, path.record, path.kind, who.only_of)
    gone = Refused("rendition", f"the {path.kind} of record {path.record} is no longer kept here")
    if file.path is None:
        raise gone
    return _sent(
        service().settings.data / file.path, gone, _OWN, mimetype=_VIDEO, etag=file.sha256,
        download_name=file.name, as_attachment=query.download,
    )  # fmt: skip


def _sent(path: Path, gone: Refused, kept: str, *, etag: str = "", **options: Any) -> Response:
    """Give a file, or the range of it that is asked for, or that it is still the same."""
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
    response.headers["Cache-Control"] = kept
    _check_conditions(response, accept_ranges=True)
    wanted = _wanted(response)
    if wanted is None:
        return response
    start, end = _bounds(wanted, there.st_size)
    if start >= end:
        response.close()
        raise RequestedRangeNotSatisfiable(there.st_size)
    response.status_code = 206
    response.content_range = ContentRange("bytes", start, end, there.st_size)
    response.content_length = end - start
    file.seek(start)
    # Waitress sends a file by itself, from where it stands and as long as is said, and keeps no
    # thread waiting for whoever reads slowly. Another server sends what it is given.
    if not hasattr(response.response, "prepare"):
        response.direct_passthrough = False
        response.response = _piece(file, end - start)
        response.call_on_close(file.close)
    return response


def _check_conditions(response: Response, **options: Any) -> None:
    """Make a response what a request wants if it has changed, or has not. Raises 412."""
    response.make_conditional(request, **options)
    if response.status_code == 412:
        response.close()  # the file that it would send
        raise PreconditionFailed


def _wanted(response: Response) -> tuple[int, int | None] | None:
    """Return which range of a file is to be given, as it was asked for; None: all of it.

    RFC 9110, 14.2: ranges are for GET, what is not understood is ignored, and several may be.
    """
    wanted = request.range
    if request.method != "GET" or response.status_code != 200 or not response.content_length:
        return None
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    same = request.if_range
    if same.date is not None and same.date != response.last_modified:
        return None
    if same.etag is not None and same.etag != response.get_etag()[0]:
        return None
    if request.headers.get("If-Range", "").lower().startswith("w/"):  # weak: much the same
        return None
    start, end = wanted.ranges[0]
    return start, end


def _bounds(wanted: tuple[int, int | None], size: int) -> tuple[int, int]:
    """Return from where to where a range reaches in a file; a negative one counts from its end."""
    start, end = wanted
    if start < 0:
        return max(start + size, 0), size
    return start, min(size if end is None else end, size)


def _piece(file: BinaryIO, length: int) -> Iterator[bytes]:
    while block := file.read(min(_BLOCK, length)):
        length -= len(block)
        yield block


@blueprint.get(
    "/records/<int:record>/papers/<name>",
    responses={
        "200": _given("The text", "text/plain"), "206": _given("The range", "text/plain"),
        **_IN_PIECES,
    },
    operation_id="downloadPaper",
)  # fmt: skip
def paper(path: PaperPath) -> Response:
    """Download a transcript or a chat that belongs to the record."""
    who = require_principal("read")
    views.check_transcript(service().engine, path.record, path.name, who.only_of)
    return _sent(
        paths.transcripts_of(service().settings.data, path.record) / path.name,
        Refused("paper", f"{path.name!r} of record {path.record} is no longer kept here"), _OWN,
        mimetype="text/plain", download_name=path.name, as_attachment=True,
    )  # fmt: skip


@blueprint.get(
    "/records/<int:record>/chunks/<int:chunk>/pictures/<int:number>",
    responses={"200": _given("The picture", _JPEG), **_WHOLE},
    operation_id="showChunkPicture",
)
def chunk_picture(path: PicturePath) -> Response:
    """Get a picture of the screen that was checked in a chunk."""
    who = require_principal("read")
    picture = views.chunk_picture(
        service().engine, path.record, path.chunk, path.number, who.only_of
    )
    response = Response(picture, mimetype=_JPEG, headers={"Cache-Control": _OWN})
    response.add_etag()
    _check_conditions(response)
    return response


@blueprint.get(
    "/rooms/<int:room>/sources/<int:source>/picture",
    responses={
        "200": _given("The picture", _JPEG), "206": _given("The range", _JPEG), **_IN_PIECES,
    },
    operation_id="showSourcePicture",
)  # fmt: skip
def source_picture(path: SourcePath) -> Response:
    """Get the latest picture of a source; Last-Modified says when it was taken."""
    require_principal("read")
    sources = store.get_room(service().engine, path.room)["sources"]
    if not any(source["id"] == path.source for source in sources):
        raise Refused("source", f"room {path.room} has no source {path.source}")
    return _sent(
        thumbnails.picture_path(service().settings, path.source),
        Refused("picture", f"there is no picture of source {path.source} yet"),
        f"private, max-age={_LASTS_S}", mimetype=_JPEG,
    )  # fmt: skip
