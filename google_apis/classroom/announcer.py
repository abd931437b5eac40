"""Announces a recording in its Classroom course.

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

MOST_MATERIALS = 20  # says its documentation
_LOOKED_BACK = 500  # announcements
_PAGE = 100


def is_of(announcement: Mapping[str, Any], file: str) -> bool:
    """Return whether an announcement has a file of Drive attached. Pure.

    By the file we recognise our announcements: no reader has to see a number.
    """
    return any(
        (material.get("driveFile") or {}).get("driveFile", {}).get("id") == file
        for material in announcement.get("materials") or ()
    )


@dataclass(frozen=True)
class CourseAnnouncer:
    """Announces a recording in the course whose code it has. text: of an announcement."""

    google: Google
    courses: Courses
    text: Callable[[Announcement], str]
    name: str = "classroom"

    def concerns(self, news: Announcement) -> bool:
        """Return whether a recording belongs to a course."""
        return bool(news.course_code)

    def announce(self, news: Announcement, state: Mapping[str, Any], fence: Fence) -> str:
        """Announce the files once. Raises Refused where there is no such course.

        Google lets nobody change the files of an announcement: where one that was announced
        (`files` in state) is gone, a person has to act. So it is where it was announced in another
        course (`course`). Its text can be changed.
        """
        links = tuple(link for link in news.links if link.file)
        if not links:
            raise Refused("no_link", "google.nothing_to_announce")
        ours = [str(link.file) for link in links][:MOST_MATERIALS]
        if state.get("link") and state.get("course", news.course_code) != news.course_code:
            fence.note(
                Message("google.announced_elsewhere", course=state["course"], link=state["link"])
            )
            state = {}
        if state.get("link"):  # a new version lies under the same link
            if any(file not in ours for file in state.get("files", ())):
                fence.note(
                    Message(
                        "google.announced_gone", course=str(news.course_code),
                        link=str(state["link"]),
                    )
                )  # fmt: skip
            if state.get("text") != self.text(news):
                self._change_text(news, links, state, fence)
            return str(state["link"])
        course = self.courses.course(str(news.course_code))
        if course is None:
            raise Refused("course", "google.no_course_code", course_code=str(news.course_code))
        announcement = None
        if state.get("asked"):  # an earlier try, of whose end nobody knows
            announcement = self._find(course, links)
        if announcement is None:
            fence.keep({"asked": True})
            fence.confirm()
            announcement = self._create(course, news, links)
            failpoint("classroom.announced")
        link = str(announcement.get("alternateLink") or course)
        known = {"id": announcement.get("id"), "course": news.course_code, "text": self.text(news)}
        fence.keep({"asked": True, "link": link, "files": ours, **known})
        return link

    def _change_text(
        self, news: Announcement, links: tuple[Link, ...], state: Mapping[str, Any], fence: Fence
    ) -> None:
        """Have an announcement say what there is to say now, if it is there.

        https://developers.google.com/workspace/classroom/reference/rest/v1/courses.announcements/patch
        """
        course, text = self.courses.course(str(news.course_code)), self.text(news)
        known = state.get("id")
        if course is not None and known is None:  # announced before ids were kept
            known = (self._find(course, links) or {}).get("id")
        if course is not None and known is not None:
            fence.confirm()
            request = self._announcements().patch(
                courseId=course, id=known, updateMask="text", body={"text": text}
            )
            try:
                self.google.call(request)
            except NotThere:
                known = None  # somebody has deleted it
            failpoint("classroom.changed")
        fence.keep({**state, "id": known, "course": news.course_code, "text": text})

    def _create(self, course: str, news: Announcement, links: tuple[Link, ...]) -> dict[str, Any]:
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
            announcement = self._find(course, links)
            if announcement is None:
                raise
            return announcement
        except NotThere as error:
            raise Refused("course", "google.no_course", course=course) from error

    def _find(self, course: str, links: tuple[Link, ...]) -> dict[str, Any] | None:
        for announcement in self._newest(course):
            if any(is_of(announcement, str(link.file)) for link in links):
                return announcement
        return None

    def _newest(self, course: str) -> Iterator[dict[str, Any]]:
        token, seen = None, 0
        while seen < _LOOKED_BACK:
            answer = self.google.call(
                self._announcements().list(
                    courseId=course, announcementStates=["PUBLISHED", "DRAFT"],
                    orderBy="updateTime desc", pageSize=_PAGE, pageToken=token,
                )
            )  # fmt: skip
            page = answer.get("announcements", ())
            yield from page
            seen += len(page)
            token = answer.get("nextPageToken")
            if not token:
                return

    def _announcements(self) -> Any:
        return self.google.collection("classroom", "v1", "courses", "announcements")
