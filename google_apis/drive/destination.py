"""The destination `drive`: a folder for each day below the room's folder, readers by their address.

What is known of a file before anything is sent, its id, is in the ledger: whoever goes on after a
crash makes the same file, and Drive refuses a second one. A new version replaces the content: the
link stays. What arrives carries another name until it has been checked.
"""

from __future__ import annotations

import hashlib
import mimetypes
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from google_apis.drive import files, upload
from google_apis.drive.checksum import md5_of
from google_apis.drive.folders import Folders
from google_apis.errors import AlreadyThere
from google_apis.http import Google
from merger.errors import Broken, Refused, Temporary
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.ports.destination import Fence, Placement, Upload

_UNCHECKED = ".part"
_MARK = "lecture-merger"
_IDENTITY = "drive-installation"  # of all workers of a database
_MOST_UPLOADS = 4  # of one file in a row: sessions that are lost, answers that were none
# Of what may be shared with whom; anything else that is broken is of ourselves.
_OF_A_READER = "google_policy"


@dataclass(frozen=True)
class DriveDestination:
    """Uploads to Drive.

    root: the id of the folder for rooms that have none of their own. tells: Drive itself writes to
    the readers.
    """

    google: Google
    folders: Folders
    root: str = "root"
    tells: bool = False
    name: str = "drive"

    def is_foreign(self, name: str) -> bool:
        """Return False: files have ids in Drive, and one name is no obstacle to another file."""
        return False

    def send(self, parcel: Upload, state: Mapping[str, Any], fence: Fence) -> str:
        """Put a parcel there, whole and checked, let its readers read it, and return its link."""
        # While the folder is hidden from us, so are the files in it: none of them is gone.
        self._require(parcel.shelf)
        sending = _Sending(self, parcel, dict(state), fence)
        there = sending.arrived()
        readers = parcel.shelf.readers if parcel.shelf else ()
        # Whom Drive did not know when it was sent last may have got an account since.
        state = {**sending.state, "refused": []}
        self.let_read(state, readers, fence.check, fence.note, fence.keep)
        return str(
            there.get("webViewLink") or f"https://drive.google.com/file/d/{there['id']}/view"
        )

    def let_read(
        self,
        state: Mapping[str, Any],
        readers: Sequence[str],
        check: Callable[[], None],
        note: Callable[[Message], None],
        keep: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Let people read what is there, who may not yet.

        check: called before each, to stop. note: hears of those whom Drive does not know. keep:
        takes the state after each: nobody is told twice because it failed for somebody else.
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
                # Who was being let in when it was heard no more of has got a mail, perhaps.
                if email != asking or not files.can_read(self.google, str(state["id"]), email):
                    if self.tells:
                        keep_now(asking=email)
                    files.grant_read(self.google, str(state["id"]), email, tells=self.tells)
            except (Refused, Broken) as error:
                if isinstance(error, Broken) and error.code != _OF_A_READER:
                    raise
                # One address that Google does not know never keeps the video from the others.
                note(Message("google.no_reader", email=email, why=error.message))
                refused.append(email)
            else:
                done.append(email)
                failpoint("drive.shared")
            keep_now()

    def remove(self, name: str, state: Mapping[str, Any]) -> None:
        """Move what an earlier version had put there to the bin."""
        if state.get("session"):
            upload.cancel(self.google, str(state["session"]))
        if state.get("id"):
            files.move_to_bin(self.google, str(state["id"]))

    def _require(self, shelf: Placement | None) -> None:
        """Raise Refused where the folder that people named takes nothing."""
        if shelf is not None and shelf.folder:
            self.folders.require(shelf.folder, f"name another one for room {shelf.room!r}")
        else:
            self.folders.require(self.root, "name another one in MERGER_DRIVE_FOLDER")

    def folder(self, shelf: Placement) -> str:
        """Return the id of the folder for a day, which is made where it is missing."""
        names = (*shelf.below, shelf.day.isoformat())
        if shelf.folder:
            return self.folders.below(shelf.folder, *names)
        return self.folders.below(self.root, shelf.room, *names)


class _Sending:
    """One parcel on its way. state: as the ledger keeps it.

    id: of the file. session: the upload that was begun, of the content whose hash is `sending`.
    is_made: the file was seen under its id. readers: who may read it by now; refused: whom Drive
    does not know; asking: who is being let in, with a mail of Drive's.
    """

    def __init__(
        self, to: DriveDestination, parcel: Upload, state: dict[str, Any], fence: Fence
    ) -> None:
        self.to, self.parcel, self.state, self.fence = to, parcel, state, fence
        self.google = to.google

    def arrived(self) -> dict[str, Any]:
        """Return what Drive says of the file, once it is there under its name."""
        md5 = self._md5()
        for _ in range(_MOST_UPLOADS):
            there = self._there()
            if there is None or not _has(there, md5, self.parcel.size_bytes):
                before = there and there.get("md5Checksum")
                self._upload(there)
                failpoint("drive.uploaded")
                there = files.get_file(self.google, self.state["id"])
                if there is None or there.get("md5Checksum") == before:
                    continue  # an answer that was none: the upload is asked again
            if _has(there, md5, self.parcel.size_bytes):
                return self._named(there)
            self._left_out(there)
            raise Temporary("copy", "what arrived in Drive differs from what was sent")
        raise Temporary("google_away", "Google does not complete an upload for now")

    def _there(self) -> dict[str, Any] | None:
        """Return the file of the reserved id; None where nothing has arrived yet."""
        there = files.get_file(self.google, self.state["id"]) if "id" in self.state else None
        if there is None and ("id" not in self.state or self.state.get("is_made")):
            # Nothing was sent yet; or somebody deleted it for ever, and its id is used up.
            found = self._found()
            self._keep(
                id=found or files.reserved_id(self.google),
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

    def _found(self) -> str | None:
        """Return the file that is ours although the ledger does not know: it was restored, say."""
        query = (
            f"{files.quoted(self._folder)} in parents and appProperties has"
            f" {{ key={files.quoted(_MARK)} and value={files.quoted(self._mark)} }}"
        )
        return next((str(one["id"]) for one in files.find_files(self.google, query)), None)

    @cached_property
    def _folder(self) -> str:
        shelf = self.parcel.shelf
        return self.to.folder(shelf) if shelf else self.to.root

    def _upload(self, there: Mapping[str, Any] | None) -> None:
        """Send the content; what was sent of it before is not sent again."""
        session, is_new = self.state.get("session"), False
        if session and self.state.get("sending") != self.parcel.sha256:
            # Of an earlier version; whoever may still be sending it cannot complete it any more.
            upload.cancel(self.google, str(session))
            session = None
        if not session:
            try:
                session, is_new = self._begun(there), True
            except AlreadyThere:
                return  # an earlier try has completed it, and nobody heard
        try:
            upload.send(
                self.google, str(session), self.parcel.path, self.parcel.size_bytes,
                is_new=is_new, check=self.fence.check, before_last=self._before_last,
            )  # fmt: skip
        except upload.SessionLost:
            self._keep(session=None)
        except FileNotFoundError as error:
            message = f"{self.parcel.path} vanished while it was sent"
            raise Temporary("upload", message) from error

    def _begun(self, there: Mapping[str, Any] | None) -> str:
        self.fence.confirm()
        kind = mimetypes.guess_type(self.parcel.name)[0] or "application/octet-stream"
        body: dict[str, Any] = {"mimeType": kind}
        if there is None:
            body |= {
                "id": self.state["id"], "name": self._unchecked, "parents": [self._folder],
                "appProperties": {_MARK: self._mark},
            }  # fmt: skip
        known = str(there["id"]) if there else None
        session = files.begin_upload(self.google, body, self.parcel.size_bytes, known)
        failpoint("drive.begun")
        # Before the first byte: whoever goes on after us asks for what has arrived.
        self._keep(session=session, sending=self.parcel.sha256)
        return session

    def _before_last(self) -> None:
        self.fence.confirm()
        failpoint("drive.confirmed")

    def _named(self, there: dict[str, Any]) -> dict[str, Any]:
        """Give a file that has been checked its name."""
        wanted = {"name": self.parcel.name, "trashed": False}
        if any(there.get(key) != value for key, value in wanted.items()):
            self.fence.confirm()
            there = files.change(self.google, str(there["id"]), wanted)
            failpoint("drive.named")
        if self.state.get("session") or not self.state.get("is_made"):
            self._keep(session=None, is_made=True)
        return there

    def _left_out(self, there: Mapping[str, Any]) -> None:
        """Forget what arrived damaged; of a new file, nothing stays behind."""
        if there.get("name") == self._unchecked:
            files.move_to_bin(self.google, str(there["id"]))
            self._keep(id=files.reserved_id(self.google), is_made=False, session=None)
        else:
            self._keep(session=None)

    def _keep(self, **changed: Any) -> None:
        self.state |= changed
        self.fence.keep(self.state)

    @property
    def _mark(self) -> str:
        """What a file is known by, whatever people call it: 124 bytes at most, with its key.

        Other records, and other installations that deliver into the same folder, have others. What
        is of no record has its content in the mark: it has no other version.
        """
        whose = self.parcel.record or self.parcel.sha256
        ours = self.to.folders.memory.settled(_IDENTITY, uuid.uuid4().hex)
        said = f"{ours}\0{whose}\0{self.parcel.kind}\0{self.parcel.name}"
        return hashlib.sha256(said.encode()).hexdigest()

    @property
    def _unchecked(self) -> str:
        return self.parcel.name + _UNCHECKED

    def _md5(self) -> str:
        if self.state.get("md5_of") != self.parcel.sha256:
            try:
                self.state["md5"] = md5_of(self.parcel.path, self.fence.check)
            except FileNotFoundError as error:
                message = f"{self.parcel.path} vanished before it was sent"
                raise Temporary("upload", message) from error
            self.state["md5_of"] = self.parcel.sha256
        return str(self.state["md5"])


def _has(there: Mapping[str, Any], md5: str, size_bytes: int) -> bool:
    """Return whether a file has the content that was sent."""
    return there.get("md5Checksum") == md5 and str(there.get("size")) == str(size_bytes)
