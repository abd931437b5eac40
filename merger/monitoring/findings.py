"""What a check finds, and running checks side by side, so that one that hangs costs no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from merger.errors import Cancelled, MergerError
from merger.i18n import Message, document

Level = Literal["ok", "warning", "broken"]

ANSWER_WITHIN_S = 45.0  # all checks together; a server that is away takes half a minute to say so


@dataclass(frozen=True)
class Finding:
    """The state of one thing. broken: some or all recordings fail until somebody acts."""

    what: str
    level: Level
    text: Message

    @property
    def ok(self) -> bool:
        """Whether recordings can be processed; a warning may still deserve a look."""
        return self.level != "broken"

    @property
    def document(self) -> dict[str, Any]:
        """The finding for programs."""
        return {"what": self.what, "level": self.level, **document(self.text)}


@dataclass(frozen=True)
class Check:
    """Something to look at. needs_tables: only where the database is there and fits."""

    what: str
    look: Callable[[], Iterable[Finding]]
    needs_tables: bool = False


def findings_of(what: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return what a look finds, and what kept it from looking further. Raises Cancelled."""
    findings: list[Finding] = []
    try:
        findings.extend(look())
    except Cancelled:
        raise
    except MergerError as error:
        findings.append(Finding(what, "broken", error.message))
    except OSError as error:
        findings.append(
            Finding(what, "broken", Message("monitoring.not_looked_at", why=str(error)))
        )
    return findings


def look_at_all(checks: Sequence[Check], within_s: float = ANSWER_WITHIN_S) -> list[Finding]:
    """Return what checks find, in their order; of one that does not answer in time, that."""
    looks = [_Look(check) for check in checks]
    for look in looks:
        look.start()
    until_s = time.monotonic() + within_s
    findings: list[Finding] = []
    for look in looks:
        look.join(max(0.0, until_s - time.monotonic()))
        if look.is_alive():
            late = Message("monitoring.no_answer", seconds=round(within_s))
            findings.append(Finding(look.check.what, "broken", late))
            continue
        if look.error is not None:
            raise look.error
        findings += look.findings
    return findings


class _Look(threading.Thread):
    """A check at work, which may never end."""

    def __init__(self, check: Check) -> None:
        super().__init__(name="check", daemon=True)
        self.check = check
        self.findings: list[Finding] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.findings = findings_of(self.check.what, self.check.look)
        except Exception as error:  # a bug: it is raised where somebody reports it
            self.error = error
