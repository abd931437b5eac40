"""Answers that are given again, as long as somebody may ask again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from merger.db import idempotency
from merger.errors import Refused
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def ask(engine: Engine, said: str, *, user: int = 1, key: str = "k", asked: str = "a") -> str:
    status, body = idempotency.answer_once(engine, user, key, asked, NOON, lambda: (201, said))
    assert status == 201
    return body


def test_the_first_answer_is_given_again(engine: Engine) -> None:
    assert ask(engine, "first") == "first"
    assert ask(engine, "second") == "first"
    assert ask(engine, "third", user=2) == "third"
    assert ask(engine, "fourth", key="K") == "fourth"
    with pytest.raises(Refused, match="was already used for another request") as caught:
        ask(engine, "fifth", asked="b")
    assert caught.value.code == "idempotency_key"


def test_who_is_quicker_has_answered_first(engine: Engine) -> None:
    def slow() -> tuple[int, str]:
        assert ask(engine, "quick") == "quick"
        return 201, "slow"

    assert idempotency.answer_once(engine, 1, "k", "a", NOON, slow) == (201, "quick")


def test_an_answer_that_failed_is_none(engine: Engine) -> None:
    def fail() -> tuple[int, str]:
        raise Refused("room", "there is no such room")

    with pytest.raises(Refused, match="no such room"):
        idempotency.answer_once(engine, 1, "k", "a", NOON, fail)
    assert ask(engine, "right") == "right"


def test_old_answers_are_forgotten(engine: Engine) -> None:
    ask(engine, "first")
    idempotency.forget_answers(engine, NOON + idempotency.KEPT - timedelta(seconds=1))
    assert ask(engine, "second") == "first"
    idempotency.forget_answers(engine, NOON + idempotency.KEPT + timedelta(seconds=1))
    assert ask(engine, "second") == "second"


def test_another_request_with_a_key_does_nothing(engine: Engine) -> None:
    """However early it comes: while the first is being acted on, and when a crash has ended that."""

    def slow() -> tuple[int, str]:
        with pytest.raises(Refused, match="was already used for another request"):
            idempotency.answer_once(engine, 1, "k", "b", NOON, pytest.fail)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        idempotency.answer_once(engine, 1, "k", "a", NOON, slow)
    assert ask(engine, "again") == "again"
