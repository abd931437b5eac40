"""Drive, call by call: files by their ids, folders, rights.

https://developers.google.com/workspace/drive/api/reference/rest/v3
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google_apis.errors import AlreadyThere, NotThere, Unanswered
from google_apis.http import TIMEOUT_S, Google, translate_errors
from merger.errors import Temporary
from merger.mail_address import normal_form

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
_FIELDS = (
    "id,name,description,mimeType,size,md5Checksum,trashed,parents,webViewLink,modifiedTime,"
    "videoMediaMetadata(durationMillis),shortcutDetails(targetId,targetMimeType)"
)
_API = ("drive", "v3")


def files_api(google: Google) -> Any:
    """Return the resource of files, which builds requests."""
    return google.collection(*_API, "files")


def reserve_id(google: Google) -> str:
    """Return an id that no file has yet: to create a second file under it is refused with 409."""
    answer = google.call(files_api(google).generateIds(count=1, space="drive", type="files"))
    return str(answer["ids"][0])


def get_file(google: Google, file_id: str) -> dict[str, Any] | None:
    """Return what Drive says of a file; None where none of this id is there, or hidden from us."""
    try:
        return google.call(
            files_api(google).get(fileId=file_id, fields=_FIELDS, supportsAllDrives=True)
        )
    except NotThere:
        return None


def shortcut_target(file: Mapping[str, Any]) -> str | None:
    """Return the id of what a shortcut leads to; None for what is no shortcut. Pure.

    https://developers.google.com/workspace/drive/api/guides/shortcuts
    """
    if file.get("mimeType") != SHORTCUT:
        return None
    return str((file.get("shortcutDetails") or {}).get("targetId") or "") or None


def quote(text: str) -> str:
    """Return a text for a query. Pure.

    https://developers.google.com/workspace/drive/api/guides/search-files#examples
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def find_files(google: Google, query: str) -> Iterator[dict[str, Any]]:
    """Yield the files that a query names, from all drives, without those in the bin.

    Raises Temporary where Drive did not search everywhere: what it did not find might be there.
    """
    token = None
    while True:
        page = google.call(
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
        if page.get("incompleteSearch"):
            raise Temporary("google_away", "google.search_incomplete")
        yield from page.get("files", ())
        token = page.get("nextPageToken")
        if not token:
            return


def make_folder(google: Google, file_id: str, name: str, parent: str) -> None:
    """Create a folder under a reserved id, unless it is there."""
    body = {"id": file_id, "name": name, "mimeType": FOLDER, "parents": [parent]}
    try:
        google.call(files_api(google).create(body=body, fields="id", supportsAllDrives=True))
    except AlreadyThere:
        return  # the answer of an earlier try was lost, or another worker was quicker


def change(google: Google, file_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Change the metadata of a file. Raises NotThere."""
    return google.call(
        files_api(google).update(
            fileId=file_id, body=dict(body), fields=_FIELDS, supportsAllDrives=True
        )
    )  # fmt: skip


def move_to_bin(google: Google, file_id: str) -> None:
    """Move a file to the bin, if it is there: its owner can still restore it."""
    try:
        change(google, file_id, {"trashed": True})
    except NotThere:
        return


def grant_read(google: Google, file_id: str, email: str, *, tells: bool) -> None:
    """Let somebody read a file, unless they may. tells: Drive sends them a mail.

    Raises Refused for an address without an account at Google; Unanswered where the mail may have
    been sent: nobody gets it twice.
    """
    google.call(
        google.collection(*_API, "permissions").create(
            fileId=file_id,
            body={"type": "user", "role": "reader", "emailAddress": email},
            sendNotificationEmail=tells,
            supportsAllDrives=True,
            fields="id",
        ),
        repeats=not tells,
    )  # fmt: skip


def can_read(google: Google, file_id: str, email: str) -> bool:
    """Return whether somebody is among those who may see a file, by that address."""
    token = None
    while True:
        page = google.call(
            google.collection(*_API, "permissions").list(
                fileId=file_id,
                pageSize=100,
                pageToken=token,
                supportsAllDrives=True,
                fields="nextPageToken,permissions(emailAddress)",
            )
        )  # fmt: skip
        readers = (str(p.get("emailAddress")) for p in page.get("permissions", ()))
        if normal_form(email) in map(normal_form, readers):
            return True
        token = page.get("nextPageToken")
        if not token:
            return False


def begin_upload(
    google: Google, body: Mapping[str, Any], size_bytes: int, file_id: str | None
) -> str:
    """Return the address of a new upload, which is as good as a password.

    https://developers.google.com/workspace/drive/api/guides/manage-uploads#resumable

    Args:
        body: the metadata of the file.
        file_id: of the file whose content it replaces; None for a new one.

    Raises:
        AlreadyThere: the new file is there already.
    """
    address = f"{google.upload_address(*_API)}/files" + (f"/{file_id}" if file_id else "")

    def begin() -> str:
        with google.session() as session, translate_errors():
            response = session.request(  # type: ignore[no-untyped-call]
                "PATCH" if file_id else "POST",
                address,
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
                raise Unanswered("google_away", "google.upload_nowhere")
            return str(response.headers["Location"])

    return google.retry(begin)
