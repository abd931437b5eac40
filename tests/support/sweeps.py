"""Sweeps: one test of hundreds of cases, each of which is a line of a table and takes no time."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import pytest

from tests.support.selection import rarely


def for_each(names: str, cases: Iterable[Any]) -> Callable[[Callable[..., None]], Any]:
    """Run a test for all cases, as `parametrize` does, but as one test that names those that fail.

    The cases share the test's fixtures.

    Args:
        names: of the arguments, separated by commas.
        cases: values of that argument; tuples where there are several.
    """
    arguments, cases = [name.strip() for name in names.split(",")], list(cases)
    assert cases

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(check)
        rest = [p for name, p in signature.parameters.items() if name not in arguments]

        @functools.wraps(check)
        def sweep(**fixtures: Any) -> None:
            wrong: list[BaseException] = []
            for case in cases:
                values = dict(zip(arguments, case if len(arguments) > 1 else (case,), strict=True))
                try:
                    check(**fixtures, **values)
                except (Exception, pytest.fail.Exception) as error:
                    error.add_note(f"with {values}")
                    wrong.append(error)
            if wrong:
                raise BaseExceptionGroup(f"{len(wrong)} of {len(cases)} cases", wrong)

        sweep.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
        return sweep

    return decorate


def for_each_in_turn(
    names: str, cases: Iterable[Any], others: Sequence[Any], why: str
) -> Callable[[Callable[..., None]], Any]:
    """Run a test for each case with one of the others, in turn; with `--all`, with each of them.

    Args:
        names: of the two arguments.
        why: what the other pairs add.
    """
    cases = list(cases)
    turns = [0, *(rarely(turn, why=why) for turn in range(1, len(others)))]

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        sweeps = [
            for_each(
                names, [(case, others[(n + turn) % len(others)]) for n, case in enumerate(cases)]
            )
            for turn in range(len(others))
        ]

        @functools.wraps(check)
        def sweep(turn: int, **fixtures: Any) -> None:
            sweeps[turn](check)(**fixtures)

        signature = inspect.signature(sweeps[0](check))
        turn = inspect.Parameter("turn", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        sweep.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[turn, *signature.parameters.values()]
        )
        return cast(Callable[..., None], pytest.mark.parametrize("turn", turns)(sweep))

    return decorate
