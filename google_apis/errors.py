"""What Google answers when it does not do what was requested, as our errors."""

from __future__ import annotations

import re

from merger.errors import Broken, MergerError, Refused, Temporary
from merger.i18n import Message, Param


class NotThere(MergerError):
    """There is no such thing, or it is hidden from us; the caller knows what that means."""


class AlreadyThere(MergerError):
    """It exists already, such as a file with an ID that was reserved for it."""


class Gone(MergerError):
    """It existed and was removed: a deleted event, a sync token that is too old."""


class Changed(MergerError):
    """Somebody else changed it since it was read (If-Match)."""


class Again(Temporary):
    """It was not done, and is worth another try at once. after_s: how long Google asks to wait."""

    def __init__(
        self, code: str, message: Message | str, /, after_s: float | None = None, **params: Param
    ) -> None:
        super().__init__(code, message, **params)
        self.after_s = after_s


class Unanswered(Again):
    """Nobody knows whether it was done: the answer was lost, or says that something broke."""


# https://developers.google.com/workspace/drive/api/guides/handle-errors
# https://developers.google.com/workspace/calendar/api/guides/errors
_TOO_FAST = {
    "rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded",
    "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED",
}  # fmt: skip
# Limits of a day, or of a calendar's use over hours: a few seconds do not help.
_TOO_MUCH = {"dailyLimitExceeded", "dailyLimitExceededUnreg", "quotaExceeded"}
_FULL = {
    "storageQuotaExceeded", "teamDriveFileLimitExceeded", "numChildrenInNonRootLimitExceeded",
    "activeItemCreationLimitExceeded", "teamDriveHierarchyTooDeep",
    "myDriveHierarchyDepthLimitExceeded",
}  # fmt: skip
_NOT_ENABLED = {"accessNotConfigured", "SERVICE_DISABLED"}
_SCOPES = {"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientScopes"}
# Who may have access at all, by rules of a domain or of a shared drive.
_POLICY = {
    "domainPolicy", "publishOutNotPermitted", "shareInNotPermitted", "shareOutNotPermitted",
    "shareOutNotPermittedToUser", "cannotShareTeamDriveTopFolderWithAnyoneOrDomains",
    "cannotShareTeamDriveWithNonGoogleAccounts", "teamDriveDomainUsersOnlyRestriction",
    "teamDriveTeamMembersOnlyRestriction", "targetUserRoleLimitedByLicenseRestriction",
}  # fmt: skip
_SECRETS = re.compile(r"ya29\.[\w.-]+|1//[\w-]+|Bearer\s+\S+|upload_id=\S+|https?://\S+")
_LONGEST_ANSWER = 200


# For which Google takes us, where its address is not known.
OUR_ACCOUNT = Message("google.our_account")


def error_of(
    status: int,
    reason: str,
    message: str,
    *,
    after_s: float | None = None,
    account: str | Message = OUR_ACCOUNT,
) -> MergerError:
    """Return the error that an answer means.

    Args:
        reason: Google's word for it.
        after_s: what Retry-After says.
        account: for which Google takes us.
    """
    answer = _in_one_line(status, reason, message)
    if status == 429 or (status == 403 and reason in _TOO_FAST):
        return Again("google_busy", "google.too_fast", after_s, answer=answer)
    if status >= 500 or status == 408:
        return Unanswered("google_away", "google.away", after_s, answer=answer)
    if status == 409 and reason in ("ABORTED", "aborted"):  # two writers at once, in newer APIs
        return Again("google_busy", "google.aborted", after_s, answer=answer)
    if status == 401:
        return Broken("google_credentials", "google.not_recognised", answer=answer)
    if status == 403:
        return _forbidden(reason, message, answer, account)
    kind, code, key = _OTHERS.get(status, _REFUSED)
    return kind(code, key, answer=answer)


_REFUSED = (Refused, "google_refused", "google.refused")
_OTHERS: dict[int, tuple[type[MergerError], str, str]] = {
    404: (NotThere, "google_not_there", "google.not_there"),
    409: (AlreadyThere, "google_already_there", "google.already_there"),
    410: (Gone, "google_gone", "google.gone"),
    412: (Changed, "google_changed", "google.changed"),
}


def _forbidden(reason: str, message: str, answer: str, account: str | Message) -> MergerError:
    if reason in _FULL or (reason == "quotaExceeded" and "storage" in message.lower()):
        return Broken("google_full", "google.full", answer=answer)
    if reason in _TOO_MUCH:
        return Temporary("google_busy", "google.limit", answer=answer)
    if reason in _NOT_ENABLED or "ClassroomApiDisabled" in message:
        return Broken("google_api_off", "google.api_off", answer=answer)
    if reason in _SCOPES:
        return Broken("google_scope", "google.scope", answer=answer)
    if reason == "forbiddenForServiceAccounts":
        return Broken("google_rights", "google.service_account", answer=answer)
    if reason == "forbiddenForNonOrganizer":
        return Broken("google_rights", "google.not_organizer", answer=answer, account=account)
    if reason in _POLICY:
        return Broken("google_policy", "google.policy", answer=answer)
    if reason == "insufficientFilePermissions":
        return Broken("google_file", "google.file", answer=answer, account=account)
    return Broken("google_rights", "google.rights", answer=answer, account=account)


def _in_one_line(status: int, reason: str, message: str) -> str:
    """Return what Google answered in one line, without what might be a secret."""
    words = " ".join(_SECRETS.sub("…", f"{reason}: {message}" if message else reason).split())
    return f"{status} {words[:_LONGEST_ANSWER]}".rstrip(": ")
