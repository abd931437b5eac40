"""How far a record is, and when it will be ready: from its stage, and the share of it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from models import STAGES, Record

# Of the time that a record takes. Encoding is by far the most, whatever the machine.
WEIGHTS = {"collect": 0.10, "analyse": 0.10, "plan": 0.02, "encode": 0.70, "deliver": 0.08}
# Below these, an estimate is no better than a guess.
_ESTIMATED_FROM = 0.05
_ESTIMATED_AFTER = timedelta(seconds=5)
_LONGEST_ESTIMATE = timedelta(hours=12)


def overall_share(status: str, stage: str, share: float) -> float:
    """Return how much of the work on a version is done, 0..1.

    Args:
        status: of the record; what is delivered is done.
        stage: that it is in, or was when the work ended.
        share: of that stage, 0..1.
    """
    if status == "delivered" or stage not in STAGES:
        return 1.0 if status == "delivered" else 0.0
    before = sum(WEIGHTS[earlier] for earlier in STAGES[: STAGES.index(stage)])
    return round(before + WEIGHTS[stage] * min(max(share, 0.0), 1.0), 4)


def reached_share(row: Record) -> float:
    """Return how much of the work on a record's version is done, or was when it was tried before.

    Whoever tries again has all done anew, but what was encoded is found: that is no step back.
    """
    return max(row.reached, overall_share(row.status, row.stage, row.progress))


def furthest_share(reached: tuple[str, float], now: tuple[str, float]) -> float:
    """Return the share to write down of the stage that was reached.

    Work that is begun again goes through stages that were done before, and through parts that are
    in the cache: that is no step back.

    Args:
        reached: the stage that is written down, and the share of it.
        now: the stage that is gone through, and the share of it.
    """
    return max(reached[1], now[1]) if now[0] == reached[0] else reached[1]


def ready_at(
    stage: str, share: float, updated_at: datetime, claimed_at: datetime, claimed_share: float
) -> datetime | None:
    """Return when encoding will be done, at the pace since the record was claimed; None if unknown.

    That pace includes the stages before, so it is rather too slow than too fast; they, and what
    follows, are short compared with encoding.

    Args:
        stage: that the record is in.
        share: of it that is done.
        updated_at: when that was so.
        claimed_at: when this attempt began.
        claimed_share: how much had been encoded then, by attempts before.
    """
    spent, gained = updated_at - claimed_at, share - claimed_share
    if stage != "encode" or not share < 1 or gained < _ESTIMATED_FROM or spent < _ESTIMATED_AFTER:
        return None
    left = spent * ((1 - share) / gained)
    return updated_at + left if left < _LONGEST_ESTIMATE else None
