"""Sweeps: one test of hundreds of cases, each of which is a line of a table and takes no time."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest


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
