"""Email addresses: which are the same, and which only look so."""

from __future__ import annotations

import pytest

from merger.errors import Invalid
from merger.mail_address import Lookalike, email_of, normal_form

pytestmark = pytest.mark.quick

KELVIN = "\u212aate@example.org"  # whose lower case is an ASCII k


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" Ann@Example.org\n", "ann@example.org"),
        ("admin@localhost", "admin@localhost"),
        ("Имя@Почта.РФ", "имя@почта.рф"),
        ("e\u0301va@example.org", "\u00e9va@example.org"),  # as macOS writes it, and others
        ("o@\u212bngstr\u00f6m.se", "o@\u00e5ngstr\u00f6m.se"),  # the unit, and the letter
        ("\u0130@example.org", "i\u0307@example.org"),
    ],
)
def test_one_form_for_each(typed: str, kept: str) -> None:
    assert email_of(typed) == normal_form(typed) == kept
    assert email_of(kept) == kept


@pytest.mark.parametrize(
    "typed",
    [
        KELVIN, "\uff41nn@example.org", "ann\uff20example.org", "\u017fam@example.org",
        "\ufb01n@example.org", "ann@example\u2024org", "ann@ex\u1d43mple.org", "ann\u00a0@b.org",
    ],
)  # fmt: skip
def test_what_unicode_takes_for_ascii_is_not_taken_for_it(typed: str) -> None:
    with pytest.raises(Lookalike, match="only look like ordinary ones"):
        email_of(typed)
    assert not normal_form(typed).isascii()  # so that it is nobody's


@pytest.mark.parametrize(
    "typed",
    ["ann\u200b@example.org", "\u202eann@example.org", "ann\x00@example.org", "\ud800@b.org"],
)
def test_an_address_has_nothing_that_cannot_be_seen(typed: str) -> None:
    with pytest.raises(Invalid, match="isn't a valid email address"):
        email_of(typed)


@pytest.mark.parametrize(
    "typed",
    ["x@y", "ann@example", "ann@example.", "ann@.org", "ann@example..org", "ann@example.c",
     "ann@10.0.0.1", "ann@example.or1", "ann@[10.0.0.1]"],
)  # fmt: skip
def test_mail_cannot_reach_every_domain(typed: str) -> None:
    with pytest.raises(Invalid, match="mail can reach"):
        email_of(typed)
    assert email_of(typed, is_known=True) == typed  # somebody may have it already


@pytest.mark.parametrize("typed", ["a@b.co", "ann@münchen.xn--p1ai", "राम@उदाहरण.भारत"])
def test_domains_of_any_script(typed: str) -> None:
    assert email_of(typed)
