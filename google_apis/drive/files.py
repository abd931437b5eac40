"""Drive, call by call: files by their ids, folders, rights.

https://developers.google.com/workspace/drive/api/reference/rest/v3
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google_apis.errors import AlreadyThere, NotThere, Unanswered
from google_apis.http import TIMEOUT_S, Google, translate_errors
from merger.errors import Temporary

FOLDER = "application/vnd.google-apps.folder"
_FIELDS = (
    "id,name,mimeType,size,md5Checksum,trashed,parents,webViewLink,modifiedTime,"
    "videoMediaMetadata(durationMillis)"
)
_API = ("drive", "v3")


def files_api(google: Google) -> Any:
    """Return the resource of files, which makes requests."""
    return google.service(*_API).files()


def reserved_id(google: Google) -> str:
    """Return an id that no file has yet: made under it twice, the second answers 409."""
    said = google.call(files_api(google).generateIds(count=1, space="drive", type="files"))
    return str(said["ids"][0])


def get_file(google: Google, known: str) -> dict[str, Any] | None:
    """Return what Drive says of a file; None where there is none of this id, or not for us."""
    try:
        return google.call(
            files_api(google).get(fileId=known, fields=_FIELDS, supportsAllDrives=True)
        )
    except NotThere:
        return None


def quoted(text: str) -> str:
    """Return a text for a query. Pure.

    https://developers.google.com/workspace/drive/api/guides/search-files#examples
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def find_files(google: Google, query: str) -> Iterator[dict[str, Any]]:
    """Yield the files that a query names, from all drives, without those in the bin.

    Raises Temporary where Drive did not look everywhere: what it did not find might be there.
    """
    token = None
    while True:
        said = google.call(
            files_api(google).list(
                q=f"({query}) and trashed = false",
                fields=f"nextPageToken,incompleteSearch,files({_FIELDS})",
                pageSize=1000,
                pageToken=token,
                supportsAllDrives=True,
                includeItemsFromAllDrives=True,
                corpora="allDrives",
            )
        )
        if said.get("incompleteSearch"):
            raise Temporary("google_away", "Drive could not look into all of its drives for now")
        yield from said.get("files", ())
        token = said.get("nextPageToken")
        if not token:
            return


def make_folder(google: Google, known: str, name: str, parent: str) -> None:
    """Make a folder under a reserved id, unless it is there."""
    body = {"id": known, "name": name, "mimeType": FOLDER, "parents": [parent]}
    try:
        google.call(files_api(google).create(body=body, fields="id", supportsAllDrives=True))
    except AlreadyThere:
        return  # the answer of an earlier try was lost, or another worker was quicker


def change(google: Google, known: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Change what is said of a file. Raises NotThere."""
    return google.call(
        files_api(google).update(
            fileId=known, body=dict(body), fields=_FIELDS, supportsAllDrives=True
        )
    )  # fmt: skip


def move_to_bin(google: Google, known: str) -> None:
    """Move a file to the bin, if it is there: its owner can still get it back."""
    try:
        change(google, known, {"trashed": True})
    except NotThere:
        return


def grant_read(google: Google, known: str, email: str, *, tells: bool) -> None:
    """Let somebody read a file; once is as good as twice. tells: Drive sends them a mail.

    Raises Refused for an address that Google has no account for; Unanswered where they may have
    been told: nobody is told twice.
    """
    google.call(
        google.service(*_API).permissions().create(
            fileId=known,
            body={"type": "user", "role": "reader", "emailAddress": email},
            sendNotificationEmail=tells,
            supportsAllDrives=True,
            fields="id",
        ),
        repeats=not tells,
    )  # fmt: skip


def can_read(google: Google, known: str, email: str) -> bool:
    """Return whether somebody is among those who may see a file, by that address."""
    token = None
    while True:
        said = google.call(
            google.service(*_API).permissions().list(
                fileId=known,
                pageSize=100,
                pageToken=token,
                supportsAllDrives=True,
                fields="nextPageToken,permissions(emailAddress)",
            )
        )  # fmt: skip
        there = (str(one.get("emailAddress")) for one in said.get("permissions", ()))
        if email.lower() in map(str.lower, there):
            return True
        token = said.get("nextPageToken")
        if not token:
            return False


def begin_upload(
    google: Google, body: Mapping[str, Any], size_bytes: int, known: str | None
) -> str:
    """Return the address of a new upload, which is as good as a password.

    body: what is to be said of the file. known: the id of the file whose content it replaces; None
    for a new one. Raises AlreadyThere where a new one is there already.
    https://developers.google.com/workspace/drive/api/guides/manage-uploads#resumable
    """
    where = f"{google.upload_address(*_API)}/files" + (f"/{known}" if known else "")

    def begun() -> str:
        with google.session() as session, translate_errors():
            response = session.request(  # type: ignore[no-untyped-call]
                "PATCH" if known else "POST",
                where,
                params={"uploadType": "resumable", "supportsAllDrives": "true"},
                json=dict(body),
                headers={
                    "X-Upload-Content-Type": str(body.get("mimeType", "application/octet-stream")),
                    "X-Upload-Content-Length": str(size_bytes),
                },
                timeout=TIMEOUT_S,
                allow_redirects=False,
            )
            if response.status_code != 200:
                raise google.error_in(response)
            if "Location" not in response.headers:
                raise Unanswered("google_away", "Google begins an upload and does not say where")
            return str(response.headers["Location"])

    return google.repeated(begun)
