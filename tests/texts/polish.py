"""A third language, of which only a few texts are written yet: one file beside the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from merger import i18n

CATALOGUE = """\
site:
  name: Nagrania wykładów
login:
  title: Zaloguj się
record:
  warnings: { one: "{count} ostrzeżenie", few: "{count} ostrzeżenia", many: "{count} ostrzeżeń", other: "{count} ostrzeżenia" }
messages:
  rooms:
    exists: "sala „{room}” już istnieje"
"""
_CACHES = (i18n.languages, i18n.catalogue, i18n._plural_rule)


@contextmanager
def polish_added(folder: Path) -> Iterator[None]:
    """Add the language for a while. folder: an empty one, for the catalogues."""
    for path in i18n.FOLDER.glob("*.yaml"):
        (folder / path.name).symlink_to(path)
    (folder / "pl.yaml").write_text(CATALOGUE, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(i18n, "FOLDER", folder)
        _clear_caches()
        yield
    _clear_caches()


def _clear_caches() -> None:
    for cache in _CACHES:
        cache.cache_clear()
