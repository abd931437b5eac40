"""The announcement of a record in its course of Classroom.

https://developers.google.com/workspace/classroom/reference/rest/v1/courses.announcements
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google_apis.classroom.courses import Courses
from google_apis.errors import NotThere, Unanswered
from google_apis.http import Google
from merger.errors import Refused
from merger.failpoints import failpoint
from merger.i18n import Message
from merger.ports.announcer import Announcement, Link
from merger.ports.destination import Fence

MOST_MATERIALS = 20  # as its documentation has it
_LOOKED_BACK = 500  # announcements
_PAGE = 100


def is_of(announcement: Mapping[str, Any], file: str) -> bool:
    """Return whether an announcement has a file of Drive with it. Pure.

    The file is the mark by which we know what we have announced: nobody has to read a number.
    """
    return any(
        (material.get("driveFile") or {}).get("driveFile", {}).get("id") == file
        for material in announcement.get("materials") or ()
    )


@dataclass(frozen=True)
class CourseAnnouncer:
    """Announces a record in the course whose code it has. text: of an announcement."""

    google: Google
    courses: Courses
    text: Callable[[Announcement], str]
    name: str = "classroom"

    def concerns(self, news: Announcement) -> bool:
        """Return whether a record belongs to a course."""
        return bool(news.course_code)

    def announce(self, news: Announcement, state: Mapping[str, Any], fence: Fence) -> str:
        """Announce the files once. Raises Refused where there is no such course.

        files in state: what was announced. Google lets nobody change the files of an announcement:
        where one of them is gone, somebody has to.
        """
        links = tuple(link for link in news.links if link.file)
        if not links:
            raise Refused("no_link", "nothing of it is in Drive, and only such files are announced")
        ours = [str(link.file) for link in links][:MOST_MATERIALS]
        if state.get("link"):  # a new version lies under the same link
            if any(file not in ours for file in state.get("files", ())):
                fence.note(
                    Message(
                        "google.announced_gone", course=str(news.course_code),
                        link=str(state["link"]),
                    )
                )  # fmt: skip
            return str(state["link"])
        course = self.courses.course(str(news.course_code))
        if course is None:
            message = (
                f"no course has the code {news.course_code!r}; add it to the table of courses, and"
                " announce the video by hand"
            )
            raise Refused("course", message)
        said = None
        if state.get("asked"):  # and nobody knows what came of it
            said = self._made_before(course, links)
        if said is None:
            fence.keep({"asked": True})
            fence.confirm()
            said = self._made(course, news, links)
            failpoint("classroom.announced")
        link = str(said.get("alternateLink") or course)
        fence.keep({"asked": True, "link": link, "files": ours})
        return link

    def _made(self, course: str, news: Announcement, links: tuple[Link, ...]) -> dict[str, Any]:
        materials = [
            {"driveFile": {"driveFile": {"id": link.file}, "shareMode": "VIEW"}} for link in links
        ]
        body = {
            "text": self.text(news),
            "materials": materials[:MOST_MATERIALS],
            "state": "PUBLISHED",  # else it is a draft, which nobody sees
        }
        try:
            return self.google.call(
                self._announcements().create(courseId=course, body=body), repeats=False
            )
        except Unanswered:
            made = self._made_before(course, links)
            if made is None:
                raise
            return made
        except NotThere as error:
            message = f"there is no course {course} in Classroom, or not for us"
            raise Refused("course", message) from error

    def _made_before(self, course: str, links: tuple[Link, ...]) -> dict[str, Any] | None:
        for announcement in self._newest(course):
            if any(is_of(announcement, str(link.file)) for link in links):
                return announcement
        return None

    def _newest(self, course: str) -> Iterator[dict[str, Any]]:
        token, seen = None, 0
        while seen < _LOOKED_BACK:
            said = self.google.call(
                self._announcements().list(
                    courseId=course, announcementStates=["PUBLISHED", "DRAFT"],
                    orderBy="updateTime desc", pageSize=_PAGE, pageToken=token,
                )
            )  # fmt: skip
            page = said.get("announcements", ())
            yield from page
            seen += len(page)
            token = said.get("nextPageToken")
            if not token:
                return

    def _announcements(self) -> Any:
        return self.google.service("classroom", "v1").courses().announcements()
