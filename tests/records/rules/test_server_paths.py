"""What people read of files on the server: names, not where they lie."""

from __future__ import annotations

import pytest

from merger.i18n import Message, verbatim
from merger.records.rules.server_paths import is_web_link, without_folders

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Message("history.sent", link="/srv/my videos/504/a b.mp4"), Message("history.sent", link="a b.mp4")),
        (Message("history.sent", link="https://drive.example/d/1"), Message("history.sent", link="https://drive.example/d/1")),
        (Message("x", path="/srv/library/"), Message("x", path="library")),
        (verbatim("[Errno 2] No such file: '/mnt/a/b.ts'"), verbatim("[Errno 2] No such file: 'b.ts'")),
        (verbatim("/srv/a.mp4: damaged; see http://x.org/a/b"), verbatim("a.mp4: damaged; see http://x.org/a/b")),
        (Message("x", why=Message("y", file="/a/b.mp4"), n=3), Message("x", why=Message("y", file="b.mp4"), n=3)),
        (Message("x", list=(Message("y", folder="/a/b"), "/c/d")), Message("x", list=(Message("y", folder="b"), "d"))),
        (Message("x", name="10/11 or 1 / 2"), Message("x", name="10/11 or 1 / 2")),
    ],
)  # fmt: skip
def test_of_a_path_its_name_is_left(before: Message, after: Message) -> None:
    assert without_folders(before) == after


def test_links_that_people_can_follow() -> None:
    found = [is_web_link(link) for link in ("https://x.org/1", "HTTP://x.org", "/srv/a", "", None)]
    assert found == [True, True, False, False, False]
