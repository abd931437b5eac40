"""The destination `drive`: a folder for each day in the room's folder, readers by their address.

The id of a file is reserved and stored in the ledger before anything is sent: a worker that
continues after a crash creates the same file, and Drive refuses a second one. A new version
replaces the content: the link stays. A file has another name until its content has been checked.
"""

from __future__ import annotations

import hashlib
import mimetypes
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from google_apis.drive import files
from google_apis.drive import upload as uploads
from google_apis.drive.checksum import md5_of
from google_apis.drive.folders import Folders
from google_apis.errors import AlreadyThere
from google_apis.http import Google
from merger.errors import Broken, Refused, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.ports.destination import Fence, Placement, Renaming, Upload

_UNCHECKED = ".part"
_MARK = "lecture-merger"
_IDENTITY = "drive-installation"  # of all workers of a database
_MOST_UPLOADS = 4  # of one file in a row: lost sessions, answers that meant nothing
# About one reader; anything else that is broken concerns all of them.
_OF_A_READER = "google_policy"


@dataclass(frozen=True)
class DriveDestination:
    """Uploads to Drive.

    root: the id of the folder for rooms without a folder of their own. tells: Drive itself sends a
    mail to the readers.
    """

    google: Google
    folders: Folders
    root: str = "root"
    tells: bool = False
    name: str = "drive"
    is_remote: bool = True

    def try_out(self) -> None:
        """Look whether the folder of the setting is there for us; that alone writes nothing."""
        self.folders.require(self.root, None)

    def is_foreign(self, name: str) -> bool:
        """Return False: files have ids in Drive, and several may have the same name."""
        return False

    def send(self, upload: Upload, state: Mapping[str, Any], fence: Fence) -> str:
        """Upload a file, whole and checked, let its readers read it, and return its link."""
        # While the folder is hidden from us, so are the files in it: none of them is gone.
        self._require_folder(upload.placement)
        sending = _Sending(self, upload, dict(state), fence)
        there = sending.complete()
        readers = upload.placement.readers if upload.placement else ()
        # Somebody without an account at Google may have got one since it was last sent.
        state = {**sending.state, "refused": []}
        self.let_read(state, readers, fence.check, fence.note, fence.keep)
        return _link_of(there)

    def let_read(
        self,
        state: Mapping[str, Any],
        readers: Sequence[str],
        check: Callable[[], None],
        note: Callable[[Message], None],
        keep: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Let those people read the file who may not yet.

        Args:
            check: called before each; raises to stop.
            note: takes a message about each whom Drive does not know.
            keep: takes the state after each, so that nobody gets a second mail because it failed
                for somebody else.
        """
        done, refused = list(state.get("readers", ())), list(state.get("refused", ()))
        asking = state.get("asking")

        def keep_now(asking: str | None = None) -> None:
            keep({**state, "readers": [*done], "refused": [*refused], "asking": asking})

        for email in readers:
            if email in done or email in refused:
                continue
            check()
            try:
                # After a crash, the one who was being given access may have got a mail already.
                if email != asking or not files.can_read(self.google, str(state["id"]), email):
                    if self.tells:
                        keep_now(asking=email)
                    files.grant_read(self.google, str(state["id"]), email, tells=self.tells)
            except (Refused, Broken) as error:
                if isinstance(error, Broken) and error.code != _OF_A_READER:
                    raise
                # One address that Google does not know must not keep the video from the others.
                note(Message("google.no_reader", email=email, why=error.message))
                refused.append(email)
            else:
                done.append(email)
                failpoint("drive.shared")
            keep_now()

    def rename(self, renaming: Renaming, state: Mapping[str, Any], fence: Fence) -> str | None:
        """Give a file another name and description; in the bin, it is as good as gone."""
        there = files.get_file(self.google, str(state["id"])) if state.get("id") else None
        if there is None or there.get("trashed"):
            return None
        return _link_of(self.show_as(there, renaming, state, fence))

    def show_as(
        self,
        there: dict[str, Any],
        wanted: Upload | Renaming,
        state: Mapping[str, Any],
        fence: Fence,
    ) -> dict[str, Any]:
        """Give a file its name and description, unless it has them; return what Drive says of it.

        A description that we have not written stays, as long as there is none to replace it.
        """
        final: dict[str, Any] = {"name": wanted.name, "trashed": False}
        if wanted.description or state.get("is_described"):
            final["description"] = wanted.description
        if all((there.get(key) or "") == (value or "") for key, value in final.items()):
            return there
        if wanted.description and not state.get("is_described"):
            fence.keep({**state, "is_described": True})
        fence.confirm()
        final["appProperties"] = {_MARK: self.mark(wanted)}
        there = files.change(self.google, str(there["id"]), final)
        failpoint("drive.named")
        return there

    def mark(self, file: Upload | Renaming) -> str:
        """Return the property by which a file is recognised: 124 bytes at most, with its key.

        Other recordings, and other installations that deliver into the same folder, have others. A
        file of no recording is recognised by its content: it has no other version.
        """
        whose = file.record or file.sha256
        ours = self.folders.memory.get_or_set(_IDENTITY, uuid.uuid4().hex)
        text = f"{ours}\0{whose}\0{file.kind}\0{file.name}"
        return hashlib.sha256(text.encode()).hexdigest()

    def remove(self, name: str, state: Mapping[str, Any]) -> None:
        """Move the file of an earlier version to the bin."""
        if state.get("session"):
            uploads.cancel(self.google, str(state["session"]))
        if state.get("id"):
            files.move_to_bin(self.google, str(state["id"]))

    def _require_folder(self, placement: Placement | None) -> None:
        """Raise Refused where the folder that people named accepts nothing."""
        if placement is not None and placement.folder:
            self.folders.require(placement.folder, placement.room)
        else:
            self.folders.require(self.root, None)

    def folder(self, placement: Placement) -> str:
        """Return the id of the folder for a day, which is created where it is missing."""
        names = (*placement.below, placement.day.isoformat())
        if placement.folder:
            return self.folders.below(placement.folder, *names)
        return self.folders.below(self.root, placement.room, *names)


class _Sending:
    """One upload in progress. state: as the ledger keeps it, with

    id: of the file. session: the upload that was begun, of the content whose hash is `sending`.
    is_described: we have given it a description. is_made: the file was seen under its id. readers:
    who may read it by now; refused: whom Drive does not know; asking: who is being given access,
    with a mail of Drive's.
    """

    def __init__(
        self, to: DriveDestination, upload: Upload, state: dict[str, Any], fence: Fence
    ) -> None:
        self.to, self.upload, self.state, self.fence = to, upload, state, fence
        self.google = to.google

    def complete(self) -> dict[str, Any]:
        """Return what Drive says of the file, once it is there under its name."""
        md5 = self._md5()
        for _ in range(_MOST_UPLOADS):
            there = self._there()
            if there is None or not _has(there, md5, self.upload.size_bytes):
                before = there and there.get("md5Checksum")
                self._send(there)
                failpoint("drive.uploaded")
                there = files.get_file(self.google, self.state["id"])
                if there is None or there.get("md5Checksum") == before:
                    continue  # the answer meant nothing: the upload is queried again
            if _has(there, md5, self.upload.size_bytes):
                return self._rename(there)
            self._discard(there)
            raise Temporary("copy", "google.upload_differs")
        raise Temporary("google_away", "google.upload_incomplete")

    def _there(self) -> dict[str, Any] | None:
        """Return the file of the reserved id; None where nothing has arrived yet."""
        there = files.get_file(self.google, self.state["id"]) if "id" in self.state else None
        if there is None and ("id" not in self.state or self.state.get("is_made")):
            # Nothing was sent yet; or somebody deleted it for ever, and its id is used up.
            found = self._find()
            self._keep(
                id=found or files.reserve_id(self.google),
                is_made=False,
                session=None,
                readers=[],
                refused=[],
            )
            failpoint("drive.reserved")
            there = files.get_file(self.google, found) if found else None
        if there is not None and not self.state.get("is_made"):
            self._keep(is_made=True)
        return there

    def _find(self) -> str | None:
        """Return our file that the ledger does not know, as after its database was restored."""
        query = (
            f"{files.quote(self._folder)} in parents and appProperties has"
            f" {{ key={files.quote(_MARK)} and value={files.quote(self.to.mark(self.upload))} }}"
        )
        return next((str(file["id"]) for file in files.find_files(self.google, query)), None)

    @cached_property
    def _folder(self) -> str:
        placement = self.upload.placement
        return self.to.folder(placement) if placement else self.to.root

    def _send(self, there: Mapping[str, Any] | None) -> None:
        """Send the content; what was sent of it before is not sent again."""
        session, is_new = self.state.get("session"), False
        if session and self.state.get("sending") != self.upload.sha256:
            # Of an earlier version; a worker that may still be sending it cannot complete it.
            uploads.cancel(self.google, str(session))
            session = None
        if not session:
            try:
                session, is_new = self._begin(there), True
            except AlreadyThere:
                return  # an earlier try completed it, and its answer was lost
        try:
            uploads.send(
                self.google, str(session), self.upload.path, self.upload.size_bytes,
                is_new=is_new, check=self.fence.check, before_last=self._before_last,
            )  # fmt: skip
        except uploads.SessionLost:
            self._keep(session=None)
        except FileNotFoundError as error:
            raise self._source_vanished() from error

    def _begin(self, there: Mapping[str, Any] | None) -> str:
        self.fence.confirm()
        kind = mimetypes.guess_type(self.upload.name)[0] or "application/octet-stream"
        body: dict[str, Any] = {"mimeType": kind}
        if there is None:
            body |= {
                "id": self.state["id"], "name": self._unchecked_name, "parents": [self._folder],
                "appProperties": {_MARK: self.to.mark(self.upload)},
            }  # fmt: skip
        file_id = str(there["id"]) if there else None
        session = files.begin_upload(self.google, body, self.upload.size_bytes, file_id)
        failpoint("drive.begun")
        # Before the first byte: whoever continues after us queries what has arrived.
        self._keep(session=session, sending=self.upload.sha256)
        return session

    def _before_last(self) -> None:
        self.fence.confirm()
        failpoint("drive.confirmed")

    def _rename(self, there: dict[str, Any]) -> dict[str, Any]:
        """Give a file that has been checked its name."""
        fence = replace(self.fence, keep=lambda state: self._keep(**state))
        there = self.to.show_as(there, self.upload, self.state, fence)
        if self.state.get("session") or not self.state.get("is_made"):
            self._keep(session=None, is_made=True)
        return there

    def _discard(self, there: Mapping[str, Any]) -> None:
        """Forget what arrived damaged; of a new file, nothing stays behind."""
        if there.get("name") == self._unchecked_name:
            files.move_to_bin(self.google, str(there["id"]))
            self._keep(id=files.reserve_id(self.google), is_made=False, session=None)
        else:
            self._keep(session=None)

    def _keep(self, **changed: Any) -> None:
        self.state |= changed
        self.fence.keep(self.state)

    @property
    def _unchecked_name(self) -> str:
        return self.upload.name + _UNCHECKED

    def _md5(self) -> str:
        if self.state.get("md5_of") != self.upload.sha256:
            try:
                self.state["md5"] = md5_of(self.upload.path, self.fence.check)
            except FileNotFoundError as error:
                raise self._source_vanished() from error
            self.state["md5_of"] = self.upload.sha256
        return str(self.state["md5"])

    def _source_vanished(self) -> Temporary:
        return Temporary("upload", "google.source_vanished", path=str(self.upload.path))


def _link_of(there: Mapping[str, Any]) -> str:
    return str(there.get("webViewLink") or f"https://drive.google.com/file/d/{there['id']}/view")


def _has(there: Mapping[str, Any], md5: str, size_bytes: int) -> bool:
    """Return whether a file has the content that was sent."""
    return there.get("md5Checksum") == md5 and str(there.get("size")) == str(size_bytes)
