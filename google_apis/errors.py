"""What Google answers when it does not do what it was asked for, as our errors."""

from __future__ import annotations

import re

from merger.errors import Broken, MergerError, Refused, Temporary


class NotThere(MergerError):
    """There is no such thing, or it is hidden from us; whoever called knows what that means."""


class AlreadyThere(MergerError):
    """It exists already, such as a file with an ID that was reserved for it."""


class Gone(MergerError):
    """It was there and is not any more: a deleted event, a sync token that is too old."""


class Changed(MergerError):
    """Somebody else changed it since it was read (If-Match)."""


class Again(Temporary):
    """It was not done, and is worth another try at once. after_s: what Google asks to wait for."""

    def __init__(self, code: str, message: str, after_s: float | None = None) -> None:
        super().__init__(code, message)
        self.after_s = after_s


class Unanswered(Again):
    """Nobody knows whether it was done: the answer was lost, or says that something broke."""


# https://developers.google.com/workspace/drive/api/guides/handle-errors
# https://developers.google.com/workspace/calendar/api/guides/errors
_TOO_FAST = {
    "rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded",
    "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED",
}  # fmt: skip
# Of a day, or of a calendar's use over hours: a few seconds do not help.
_TOO_MUCH = {"dailyLimitExceeded", "dailyLimitExceededUnreg", "quotaExceeded"}
_FULL = {
    "storageQuotaExceeded", "teamDriveFileLimitExceeded", "numChildrenInNonRootLimitExceeded",
    "activeItemCreationLimitExceeded", "teamDriveHierarchyTooDeep",
    "myDriveHierarchyDepthLimitExceeded",
}  # fmt: skip
_NOT_ENABLED = {"accessNotConfigured", "SERVICE_DISABLED"}
_SCOPES = {"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientScopes"}
# Who may be let in at all, by rules of a domain or of a shared drive.
_POLICY = {
    "domainPolicy", "publishOutNotPermitted", "shareInNotPermitted", "shareOutNotPermitted",
    "shareOutNotPermittedToUser", "cannotShareTeamDriveTopFolderWithAnyoneOrDomains",
    "cannotShareTeamDriveWithNonGoogleAccounts", "teamDriveDomainUsersOnlyRestriction",
    "teamDriveTeamMembersOnlyRestriction", "targetUserRoleLimitedByLicenseRestriction",
}  # fmt: skip
_SECRETS = re.compile(r"ya29\.[\w.-]+|1//[\w-]+|Bearer\s+\S+|upload_id=\S+|https?://\S+")
_LONGEST_SAID = 200


def error_of(
    status: int, reason: str, message: str, *, after_s: float | None = None, account: str = ""
) -> MergerError:
    """Return the error that an answer is.

    reason: Google's word for it. after_s: what Retry-After says. account: the address for which
    Google takes us.
    """
    said = _said(status, reason, message)
    if status == 429 or (status == 403 and reason in _TOO_FAST):
        return Again("google_busy", f"Google asks to be called less often ({said})", after_s)
    if status >= 500 or status == 408:
        return Unanswered("google_away", f"Google cannot answer now ({said})", after_s)
    if status == 409 and reason in ("ABORTED", "aborted"):  # two writers at once, in newer APIs
        return Again("google_busy", f"Google was changing the same thing ({said})", after_s)
    if status == 401:
        advice = "make the credentials' file again, and see that its key or sign-in still exists"
        return Broken("google_credentials", f"Google does not know us ({said}); {advice}")
    if status == 403:
        return _forbidden(reason, message, said, account or "the account of our credentials")
    kind, code, what = _OTHERS.get(status, _REFUSED)
    return kind(code, f"{what} ({said})")


_REFUSED = (Refused, "google_refused", "Google does not take what it was asked for")
_OTHERS: dict[int, tuple[type[MergerError], str, str]] = {
    404: (NotThere, "google_not_there", "there is no such thing at Google, or not for us"),
    409: (AlreadyThere, "google_already_there", "it is at Google already"),
    410: (Gone, "google_gone", "it is at Google no more"),
    412: (Changed, "google_changed", "somebody else changed it at Google"),
}


def _forbidden(reason: str, message: str, said: str, account: str) -> MergerError:
    if reason in _FULL or (reason == "quotaExceeded" and "storage" in message.lower()):
        return Broken(
            "google_full",
            f"Drive has no room for it ({said}); make room, or deliver to another folder. A service"
            " account has none of its own: use a shared drive, a subject, or a user's token",
        )
    if reason in _TOO_MUCH:
        return Temporary("google_busy", f"a limit of Google's is used up for now ({said})")
    if reason in _NOT_ENABLED or "ClassroomApiDisabled" in message:
        advice = "enable that API in the project of our credentials, and wait a few minutes"
        return Broken("google_api_off", f"an API of Google's is not enabled ({said}); {advice}")
    if reason in _SCOPES:
        return Broken(
            "google_scope",
            f"our sign-in does not cover it ({said}); sign in again with all scopes, or add the"
            " missing one to the delegation in the domain's admin console",
        )
    if reason == "forbiddenForServiceAccounts":
        advice = "give a subject and delegate the domain's authority, or invite nobody"
        return Broken("google_rights", f"a service account may not do it ({said}); {advice}")
    if reason == "forbiddenForNonOrganizer":
        return Broken(
            "google_rights",
            f"only the organiser may change the event ({said}); make events in the room's own"
            " calendar, or let guests modify the event, or share the organiser's calendar with"
            f" {account}, with the right to change it",
        )
    if reason in _POLICY:
        advice = "ask the domain's administrator to allow it"
        return Broken("google_policy", f"a rule of the domain forbids it ({said}); {advice}")
    if reason == "insufficientFilePermissions":
        return Broken(
            "google_file",
            f"Google lets {account} read a file, and not change or share it ({said}); share its"
            " folder with that address, with the right to change it; in a shared drive, as a"
            " content manager",
        )
    return Broken(
        "google_rights",
        f"Google does not let {account} do it ({said}); share the folder, calendar or course with"
        " that address, with the right to change it",
    )


def _said(status: int, reason: str, message: str) -> str:
    """Return what Google said in one line, without what might be a secret."""
    words = " ".join(_SECRETS.sub("…", f"{reason}: {message}" if message else reason).split())
    return f"{status} {words[:_LONGEST_SAID]}".rstrip(": ")
