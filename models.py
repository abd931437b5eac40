"""The tables, and nothing else.

Instants are stored in UTC to the microsecond, and are aware in Python. `records.processing` and
`records.done` are computed by the database from `status`; nobody writes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, TypedDict

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Computed,
    Date,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    or_,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from merger.db.key_file import MARK, decrypt, encrypt
from merger.i18n import Message, from_json, to_json

STATUSES = ("queued", "running", "delivered", "failed", "cancelled")
ENDED = ("delivered", "failed", "cancelled")
STAGES = ("collect", "analyse", "plan", "encode", "deliver")
ROLES = ("speaker", "screen", "board", "audio")
USER_ROLES = ("user", "editor", "admin")


class LateMedia(TypedDict, total=False):
    """What came after a record was made: how it is waited for, and which version was made for it.

    Attributes:
        key, since: of what was found, while it may still grow, and when it was found first.
        made, times, at: of what the record was made again for, how often, and when last.
        version, of: that version, and the names of the sources.
    """

    key: str
    since: str
    made: str
    times: int
    at: str
    version: int
    of: list[str]


class LeaveGiven(TypedDict, total=False):
    """Whose meetings a record may show: of a person, and what was within a span (ISO 8601)."""

    email: str
    span: list[str]


class TranscriptData(TypedDict):
    """Where the times of a chat or a transcript lie: `merger.timeline.captions.Transcript`."""

    name: str
    kind: str
    zero: str | None
    stretches: list[list[str]]


class RecordMedia(TypedDict, total=False):
    """What a record is made of (`records.media`).

    Attributes:
        items: by source: origin, fingerprint, path below the data folder, and start of each file.
        incomplete: names of the sources of which more might have come.
        warnings: messages about what is missing.
        papers: names of the files of transcripts.
        transcripts: where the times of those lie of which that was asked.
        late: where media came after the record was made.
        late_transcripts: when it was last reported that there are more of them; until they are
            collected.
        asked_again: people requested it again after it had failed.
        leave: whose meetings it may show; without it, all (`merger/records/leave.py`).
        corner: where the speaker lies above the screen, from the first time that is planned on.
        overrules: what editors want beside the speaker: start, end, and which of `Right`.
    """

    items: dict[str, list[list[str]]]
    incomplete: list[str]
    warnings: list[Any]
    papers: list[str]
    transcripts: list[TranscriptData]
    late: LateMedia
    late_transcripts: str
    asked_again: bool
    leave: LeaveGiven
    corner: str
    overrules: list[list[str]]


class Instant(TypeDecorator[datetime]):
    """An aware instant, stored as naive UTC with microseconds (plain DATETIME would drop them)."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"not an aware instant: {value}")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def key(length: int = 255) -> Any:
    """Return a string type that compares exactly: `Room` is not `room`, nor is `é` `e`."""
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


# A plain TEXT holds 64 KiB there, which the plan of a long lecture may exceed.
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
Bytes = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
Identity = BigInteger().with_variant(Integer(), "sqlite")


_LONGEST_PARAM = 4000  # characters; a TEXT of MySQL holds 64 KiB


def _clipped(value: Any) -> Any:
    """Return plain values without strings that are too long for a column."""
    if isinstance(value, dict):
        return {name: _clipped(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_clipped(part) for part in value]
    return value[:_LONGEST_PARAM] if isinstance(value, str) else value


class Words(TypeDecorator[Message]):
    """A message to people. Kept as JSON: its key and parameters; older rows hold a sentence."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Message | None, dialect: Any) -> str | None:
        if value is None:
            return None
        return json.dumps(_clipped(to_json(value)), ensure_ascii=False, sort_keys=True)

    def process_result_value(self, value: str | None, dialect: Any) -> Message | None:
        if value is None:
            return None
        return from_json(json.loads(value) if value.startswith('{"key": ') else value)


class SecretText(TypeDecorator[str]):
    """A text that is encrypted in the tables: merger/db/key_file.py. Old rows hold it as it is."""

    impl = LongText  # encrypted, it is half as long again
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return encrypt(value, dialect) if value else value

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return decrypt(value, dialect) if value else value

    def is_plain(self, stored: ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that it is not encrypted. stored: the column as plain text."""
        return and_(stored != "", stored.not_like(f"{MARK}%"))

    def is_encrypted(self, stored: ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that it is encrypted."""
        return stored.like(f"{MARK}%")


class JsonWithSecrets(TypeDecorator[Any]):
    """An object as JSON, of which some members are texts that are encrypted in the tables."""

    impl = JSON
    cache_ok = True

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return self._with_members(value, lambda text: encrypt(text, dialect))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return self._with_members(value, lambda text: decrypt(text, dialect))

    def _with_members(self, value: Any, act: Callable[[str], str]) -> Any:
        if not isinstance(value, dict):
            return value
        secrets = {n: act(value[n]) for n in self.names if isinstance(value.get(n), str)}
        return {**value, **secrets}

    def is_plain(self, stored: ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that some are not encrypted. stored: the column as plain text."""
        return or_(
            *(
                and_(stored.like(f'%"{name}": "%'), stored.not_like(f'%"{name}": "{MARK}%'))
                for name in self.names
            )
        )

    def is_encrypted(self, stored: ColumnElement[str]) -> ColumnElement[bool]:
        """Return the condition that some are encrypted."""
        return or_(*(stored.like(f'%"{name}": "{MARK}%') for name in self.names))


# What a destination needs to go on after a crash. Whoever has the address of an upload to Drive can
# write into it.
State = JsonWithSecrets("session")


class Base(DeclarativeBase):
    """All tables: InnoDB and utf8mb4 on MySQL and MariaDB."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    __table_args__: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}  # noqa: RUF012


def _table(*parts: Any, counts_on: bool = False) -> Any:
    """Return the arguments of a table. counts_on: an id is never given again (SQLite would)."""
    return (*parts, Base.__table_args__ | ({"sqlite_autoincrement": True} if counts_on else {}))


class Room(Base):
    """A place with sources."""

    __tablename__ = "rooms"
    __table_args__ = _table(counts_on=True)

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    name: Mapped[str] = mapped_column(key(), unique=True)
    zone: Mapped[str] = mapped_column(key(64))  # IANA
    drive_folder: Mapped[str | None] = mapped_column(key())
    calendar_id: Mapped[str | None] = mapped_column(key())
    sound_source: Mapped[str | None] = mapped_column(key())  # name of the source heard first
    chunk_s: Mapped[int] = mapped_column(Integer, default=1800, server_default="1800")
    decide: Mapped[str] = mapped_column(key(8), default="instant", server_default="instant")
    # The board with the slide, while somebody writes and the slide has stood for so long.
    shows_both: Mapped[bool] = mapped_column(default=False, server_default="0")
    both_after_s: Mapped[int] = mapped_column(Integer, default=60, server_default="60")
    # So long before and after a record its live sources are recorded.
    early_s: Mapped[int] = mapped_column(Integer, default=60, server_default="60")
    late_s: Mapped[int] = mapped_column(Integer, default=120, server_default="120")
    mails: Mapped[bool] = mapped_column(default=True, server_default="1")  # to those who asked
    uploads_raw: Mapped[bool] = mapped_column(default=False, server_default="0")  # live segments
    papers: Mapped[bool] = mapped_column(
        default=False, server_default="0"
    )  # captions are delivered
    archives: Mapped[bool] = mapped_column(default=False, server_default="0")  # all views are kept
    # Who may request and watch its recordings: merger/accounts/room_policy.py; null: the default.
    requesters: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    watchers: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    # Of recordings that nobody requested; null: as the settings say.
    default_course: Mapped[str | None] = mapped_column(String(255))
    unmatched: Mapped[str | None] = mapped_column(key(8))  # keep, ignore: of no lecture
    shortest_s: Mapped[int | None] = mapped_column(Integer)

    sources: Mapped[list[Source]] = relationship(
        back_populates="room", order_by="Source.id", cascade="all, delete-orphan"
    )


class Source(Base):
    """Something in a room that yields media."""

    __tablename__ = "sources"
    __table_args__ = _table(UniqueConstraint("room_id", "name"), counts_on=True)

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    room_id: Mapped[int] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(key())
    role: Mapped[str] = mapped_column(key(16))
    kind: Mapped[str] = mapped_column(key(32))  # of the recorder
    address: Mapped[str] = mapped_column(SecretText)
    # Kept apart from the address, and loaded only where a recorder needs it.
    credentials: Mapped[str | None] = mapped_column(
        SecretText, deferred=True, deferred_raiseload=True
    )

    room: Mapped[Room] = relationship(back_populates="sources")


class User(Base):
    """Somebody who wants videos, and may perhaps sign in."""

    __tablename__ = "users"
    __table_args__ = _table(counts_on=True)

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    email: Mapped[str] = mapped_column(key(), unique=True)  # in lower case
    name: Mapped[str | None] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(key(16), default="user", server_default="user")
    # Whether they may sign in although their address is of no domain that may.
    invited: Mapped[bool] = mapped_column(default=False, server_default="0")
    password_hash: Mapped[str | None] = mapped_column(Text, deferred=True)
    # In which they read the pages last; where it is chosen, in which they always read them.
    language: Mapped[str | None] = mapped_column(key(8))
    language_chosen: Mapped[bool] = mapped_column(default=False, server_default="0")
    zone: Mapped[str | None] = mapped_column(key(64))  # IANA; null: that of each room
    last_seen_at: Mapped[datetime | None] = mapped_column(Instant)  # signed in; to the hour
    # Which mails they want: false for kinds that they do not; null, or no word of it: they do.
    notifications: Mapped[dict[str, bool] | None] = mapped_column(JSON(none_as_null=True))
    # Raised to end all sessions of this user.
    session_number: Mapped[int] = mapped_column(Integer, default=1, server_default="1")

    confirmation: Mapped[Confirmation | None] = relationship(
        foreign_keys="Confirmation.user_id", cascade="all, delete-orphan", passive_deletes=True
    )
    accounts: Mapped[list[OidcAccount]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def is_confirmed(self) -> bool:
        """Whether mails and videos may go to them: merger/accounts/external.py."""
        return self.invited or self.confirmation is None or bool(self.confirmation.confirmed_at)

    def wants(self, kind: str) -> bool:
        """Return whether they want mails of a kind: merger/accounts/profile.py."""
        return (self.notifications or {}).get(kind, True)


class Confirmation(Base):
    """That somebody whom others have named is asked whether they want it; others are not asked."""

    __tablename__ = "confirmations"
    __table_args__ = _table(Index(None, "named_by", "named_at"))

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    named_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    named_at: Mapped[datetime] = mapped_column(Instant)
    # SHA-256 of what the link in their mail holds; null until the mail is sent, which is but once.
    digest: Mapped[str | None] = mapped_column(key(64), unique=True)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)


class PasswordLink(Base):
    """A link with which somebody sets their password: merger/accounts/password_links.py."""

    __tablename__ = "password_links"
    __table_args__ = _table(Index(None, "user_id"))

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(key(64), unique=True)  # SHA-256 of what the link holds
    expires_at: Mapped[datetime] = mapped_column(Instant)

    user: Mapped[User] = relationship()


class OidcAccount(Base):
    """The account at an OpenID provider with which somebody signs in."""

    __tablename__ = "oidc_accounts"
    __table_args__ = _table(UniqueConstraint("user_id", "issuer"))

    issuer: Mapped[str] = mapped_column(key(), primary_key=True)
    subject: Mapped[str] = mapped_column(key(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    bound_at: Mapped[datetime] = mapped_column(Instant)

    user: Mapped[User] = relationship(overlaps="accounts")


class ApiKey(Base):
    """A key of a program that acts for a user. The key itself is shown once, and not kept."""

    __tablename__ = "api_keys"
    __table_args__ = _table(Index(None, "user_id"))

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    hint: Mapped[str] = mapped_column(key(16))  # its first letters, to tell keys apart
    digest: Mapped[str] = mapped_column(key(64), unique=True)  # SHA-256 of the key
    scopes: Mapped[Any] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)

    user: Mapped[User] = relationship()


class Answer(Base):
    """What was answered to a request with an idempotency key, to be answered again."""

    __tablename__ = "answers"

    # SHA-256 of the user's id and the key.
    digest: Mapped[str] = mapped_column(key(64), primary_key=True)
    asked: Mapped[str] = mapped_column(key(64))  # SHA-256 of the request
    status: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[str] = mapped_column(LongText)
    created_at: Mapped[datetime] = mapped_column(Instant, index=True)


class RecordUser(Base):
    """Who wants a record; position 0 is its owner."""

    __tablename__ = "record_users"
    __table_args__ = _table(Index(None, "user_id"))

    record_id: Mapped[int] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(SmallInteger)
    # How they call it, where that is not the record's own name.
    title: Mapped[str | None] = mapped_column(String(255))

    user: Mapped[User] = relationship()


class RecordLeaver(Base):
    """Who has left a record, or was removed: what it follows does not bring them back."""

    __tablename__ = "record_leavers"
    __table_args__ = _table(Index(None, "user_id"))

    record_id: Mapped[int] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )


class Record(Base):
    """One requested video, and its place in the queue. See docs/design/lifecycle.md."""

    __tablename__ = "records"
    __table_args__ = _table(
        Index("ix_records_due", "status", "run_after", "id"),
        Index("ix_records_lease", "status", "lease_until"),
        Index("ix_records_claimed", "claimed_at"),
        Index(None, "room_id", "start_at"),
        Index("ix_records_updated_at", "updated_at", "id"),
        Index("ix_records_start_at", "start_at", "id"),
        Index("ix_records_listed_at", "listed_at", "id"),
        counts_on=True,
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    # Null once the room is deleted; the record's history stays.
    room_id: Mapped[int | None] = mapped_column(ForeignKey("rooms.id", ondelete="SET NULL"))
    start_at: Mapped[datetime] = mapped_column(Instant)
    end_at: Mapped[datetime] = mapped_column(Instant)
    zone: Mapped[str] = mapped_column(key(64))
    event_name: Mapped[str] = mapped_column(String(1024), default="lecture")
    description: Mapped[str | None] = mapped_column(Text)
    course_code: Mapped[str | None] = mapped_column(String(255))
    # Whether what was delivered does not show the latest of these three yet, or of its file's name.
    is_outdated: Mapped[bool] = mapped_column(default=False, server_default="0")
    layout: Mapped[str] = mapped_column(key(64))
    profile: Mapped[str] = mapped_column(key(64))
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    idempotency_key: Mapped[str | None] = mapped_column(key(), unique=True)

    status: Mapped[str] = mapped_column(key(16), default="queued", server_default="queued")
    stage: Mapped[str] = mapped_column(key(16), default="collect", server_default="collect")
    processing: Mapped[int] = mapped_column(
        SmallInteger, Computed("CASE WHEN status = 'running' THEN 1 ELSE 0 END", persisted=False)
    )
    done: Mapped[int] = mapped_column(
        SmallInteger,
        Computed(
            "CASE WHEN status IN ('delivered', 'failed', 'cancelled') THEN 1 ELSE 0 END",
            persisted=False,
        ),
    )
    attempt: Mapped[int] = mapped_column(Integer, default=0, server_default="0")  # the fence
    tries: Mapped[int] = mapped_column(Integer, default=0, server_default="0")  # failed in a row
    lost: Mapped[int] = mapped_column(Integer, default=0, server_default="0")  # leases, in a row
    run_after: Mapped[datetime] = mapped_column(Instant)
    claimed_by: Mapped[str | None] = mapped_column(key())
    claimed_at: Mapped[datetime | None] = mapped_column(Instant)
    lease_until: Mapped[datetime | None] = mapped_column(Instant)
    progress: Mapped[float] = mapped_column(Double, default=0.0, server_default="0")  # 0..1
    # How far the whole was when somebody tried again: what people see never goes back.
    reached: Mapped[float] = mapped_column(Double, default=0.0, server_default="0")
    error_code: Mapped[str | None] = mapped_column(key(64))
    error_message: Mapped[Message | None] = mapped_column("error_text", Words)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(Instant)

    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")  # being made
    delivered_version: Mapped[int | None] = mapped_column(Integer)
    delivered_at: Mapped[datetime | None] = mapped_column(Instant)
    # Where it stands among recordings: when its video was ready, or could have been, at first.
    listed_at: Mapped[datetime] = mapped_column(
        Instant,
        Computed(
            "COALESCE(delivered_at, CASE WHEN created_at > end_at THEN created_at ELSE end_at END)",
            persisted=False,
        ),
        nullable=True,  # it never is, but MariaDB cannot be told so
    )
    # What was delivered, while another version is made; what one was to be that came to nothing.
    delivered_as: Mapped[Any | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    # Until when media that comes late makes a delivered record again; null: nothing is missing.
    watched_until: Mapped[datetime | None] = mapped_column(Instant, index=True)
    media: Mapped[RecordMedia | None] = mapped_column(JSON(none_as_null=True))
    report: Mapped[str | None] = mapped_column(
        LongText, deferred=True
    )  # JSON, as `app.py merge --json` prints it

    room: Mapped[Room | None] = relationship()
    users: Mapped[list[RecordUser]] = relationship(
        order_by="RecordUser.position", cascade="all, delete-orphan"
    )
    event_link: Mapped[EventLink | None] = relationship(cascade="all, delete-orphan")


class AccessRequest(Base):
    """Somebody asks to get what is another's, or is past: merger/records/access/."""

    __tablename__ = "access_requests"
    __table_args__ = _table(
        Index(None, "room_id", "state", "start_at"), Index(None, "user_id", "state"), counts_on=True
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    room_id: Mapped[int] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"))
    start_at: Mapped[datetime] = mapped_column(Instant)
    end_at: Mapped[datetime] = mapped_column(Instant)
    # The rest of the request: name, layout, profile, users, course_code, key.
    asked: Mapped[Any] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(key(16))  # pending, granted, refused, withdrawn, expired
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    record_id: Mapped[int | None] = mapped_column(ForeignKey("records.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(Instant)

    user: Mapped[User] = relationship(foreign_keys="AccessRequest.user_id")
    decider: Mapped[User | None] = relationship(foreign_keys="AccessRequest.decided_by")
    room: Mapped[Room] = relationship()
    asks: Mapped[list[AccessAsk]] = relationship(
        order_by="AccessAsk.user_id", cascade="all, delete-orphan"
    )


class AccessAsk(Base):
    """Who is asked for leave, and has perhaps given it where others are asked, too."""

    __tablename__ = "access_asks"

    access_id: Mapped[int] = mapped_column(
        ForeignKey("access_requests.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False,
        index=True,
    )  # fmt: skip
    # SHA-256 of what the link in their mail holds; null until that is sent.
    digest: Mapped[str | None] = mapped_column(key(64), unique=True)
    allowed_at: Mapped[datetime | None] = mapped_column(Instant)

    user: Mapped[User] = relationship()


class RecordKey(Base):
    """With which key a record was requested first, if with one."""

    __tablename__ = "record_keys"

    record_id: Mapped[int] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    key_id: Mapped[int] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)


class EventLink(Base):
    """Of which event in a calendar a record is: merger/records/event_links.py.

    A record is of one event at most; an event may have several records, one of which follows it.
    """

    __tablename__ = "event_links"
    __table_args__ = _table(UniqueConstraint("calendar_id", "event_id", "follows"))

    record_id: Mapped[int] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    calendar_id: Mapped[str] = mapped_column(key())
    event_id: Mapped[str] = mapped_column(key())
    # True: the record was made for the event, and is moved, renamed and called off with it. Else
    # null and never false, so that there may be many of those, and one that is true.
    follows: Mapped[bool | None]
    # True: people have given the record another name or course; it keeps those.
    keeps_texts: Mapped[bool | None]
    # When the event was, as people asked for the record that was made for it; else null.
    kept_start_at: Mapped[datetime | None] = mapped_column(Instant)
    kept_end_at: Mapped[datetime | None] = mapped_column(Instant)


class Segment(Base):
    """One media file of a source that was collected."""

    __tablename__ = "segments"
    __table_args__ = _table(UniqueConstraint("source_id", "origin"))

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"))
    origin: Mapped[str] = mapped_column(key(512))  # its name where it came from
    fingerprint: Mapped[str] = mapped_column(key(128))  # changes when its content does
    start_at: Mapped[datetime] = mapped_column(Instant)
    end_at: Mapped[datetime | None] = mapped_column(Instant)
    path: Mapped[str] = mapped_column(Text)  # below the data folder
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    collected_at: Mapped[datetime] = mapped_column(Instant)


class Chunk(Base):
    """What the screen showed in one cell of the chunk grid of a record."""

    __tablename__ = "chunks"

    record_id: Mapped[int] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True
    )
    start_at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    end_at: Mapped[datetime] = mapped_column(Instant)
    presence: Mapped[bool]
    verdict: Mapped[str] = mapped_column(key(32))
    score: Mapped[float] = mapped_column(Double)
    samples: Mapped[int] = mapped_column(Integer)
    reasons: Mapped[Any] = mapped_column(JSON)  # messages (`i18n.to_json`); of old rows, sentences
    # Some of the samples: [{"at", "verdict", "jpeg" in base64}, ...].
    pictures: Mapped[str | None] = mapped_column(LongText, deferred=True)


class Rendition(Base):
    """A finished output file of one version of a record."""

    __tablename__ = "renditions"
    __table_args__ = _table(UniqueConstraint("record_id", "version", "kind"))

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    version: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(key(16))
    # Below the data folder; null once it was removed, some time after its delivery.
    path: Mapped[str | None] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(key(64))
    frames: Mapped[int] = mapped_column(Integer)  # none of captions, which have no size either
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    made_at: Mapped[datetime] = mapped_column(Instant)


class Slide(Base):
    """A slide that is shown in the video of a version of a record."""

    __tablename__ = "slides"

    record_id: Mapped[int] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    start_ms: Mapped[int] = mapped_column(Integer)  # of the video's time
    end_ms: Mapped[int] = mapped_column(Integer)
    title: Mapped[str] = mapped_column(String(255))
    words: Mapped[str] = mapped_column(Text)
    picture: Mapped[bytes | None] = mapped_column(Bytes, deferred=True)  # JPEG, small


class SlideWord(Base):
    """A word that stands on a slide, as it is looked for: `timeline.screen.chapters.sought`."""

    __tablename__ = "slide_words"
    __table_args__ = _table(
        ForeignKeyConstraint(
            ["record_id", "version", "number"],
            ["slides.record_id", "slides.version", "slides.number"],
            ondelete="CASCADE",
        ),
        Index(None, "record_id", "version", "number"),
    )

    word: Mapped[str] = mapped_column(key(64), primary_key=True)
    record_id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)


class Still(Base):
    """A picture that stood on the screen of a room: merger/records/stills/."""

    __tablename__ = "stills"
    __table_args__ = _table(Index(None, "room_id", "last_at"), counts_on=True)

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    room_id: Mapped[int] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"))
    rough: Mapped[bytes] = mapped_column(Bytes)  # by which it is looked for
    picture: Mapped[bytes] = mapped_column(Bytes, deferred=True)  # JPEG, small
    # How often each cell differed, packed, in so many sightings that were compared.
    differed: Mapped[bytes] = mapped_column(Bytes, deferred=True)
    compared: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(Instant)  # when it was met last
    asked_at: Mapped[datetime | None] = mapped_column(Instant, index=True)
    # presentation, or a kind of picture that is none; null: nobody has answered.
    answer: Mapped[str | None] = mapped_column(key(16))
    answered_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    answered_at: Mapped[datetime | None] = mapped_column(Instant)

    room: Mapped[Room] = relationship()
    answerer: Mapped[User | None] = relationship()


class StillSighting(Base):
    """In which record a still picture was seen, and what it was taken for there."""

    __tablename__ = "still_sightings"

    still_id: Mapped[int] = mapped_column(
        ForeignKey("stills.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    record_id: Mapped[int] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True, autoincrement=False,
        index=True,
    )  # fmt: skip
    seconds: Mapped[float] = mapped_column(Double)
    at_start: Mapped[bool]
    at_end: Mapped[bool]
    decided: Mapped[str] = mapped_column(key(16))


class Delivery(Base):
    """The ledger: a rendition of a record going to a destination, whatever its version."""

    __tablename__ = "deliveries"
    __table_args__ = _table(
        UniqueConstraint("record_id", "destination", "kind"),
        UniqueConstraint("destination", "name_key"),
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    destination: Mapped[str] = mapped_column(key(64))
    kind: Mapped[str] = mapped_column(key(16))  # of the rendition
    name: Mapped[str] = mapped_column(key(512))  # reserved before the first outside call
    name_key: Mapped[str] = mapped_column(key(64))  # hash of the name, so that it can be unique
    # Names under which it may still lie, as reserved as the name that it is getting.
    former_names: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    state: Mapped[Any] = mapped_column(State)
    status: Mapped[str] = mapped_column(key(16))  # pending, delivered
    version: Mapped[int | None] = mapped_column(Integer)  # that is there now
    sha256: Mapped[str | None] = mapped_column(key(64))
    link: Mapped[str | None] = mapped_column(Text)
    delivered_at: Mapped[datetime | None] = mapped_column(Instant)


class Event(Base):
    """The history of a record, in words."""

    __tablename__ = "events"
    __table_args__ = _table(Index(None, "record_id", "id"))

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(Instant)
    attempt: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(key(32))
    message: Mapped[Message] = mapped_column("text", Words)


class Offer(Base):
    """A recording that nobody requested, and what became of it: merger/intake/discovered.py."""

    __tablename__ = "offers"
    __table_args__ = _table(
        UniqueConstraint("kind", "origin"), Index(None, "place", "id"), Index(None, "record_id")
    )

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    kind: Mapped[str] = mapped_column(key(32))  # of the sources that it may belong to
    origin: Mapped[str] = mapped_column(key())  # names it where it was made, like a meeting's UUID
    place: Mapped[str] = mapped_column(key())  # what a source's address must say
    name: Mapped[str] = mapped_column(String(255))
    owner: Mapped[str | None] = mapped_column(key())
    start_at: Mapped[datetime | None] = mapped_column(Instant)
    end_at: Mapped[datetime | None] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(key(16))  # record, waiting, unplaced, ignored
    reason: Mapped[Message | None] = mapped_column(Words)
    record_id: Mapped[int | None] = mapped_column(ForeignKey("records.id", ondelete="SET NULL"))
    offered_at: Mapped[datetime] = mapped_column(Instant)


class MeetingEvent(Base):
    """What was reported of a meeting while it went on: merger/intake/meetings.py."""

    __tablename__ = "meeting_events"
    __table_args__ = _table(Index(None, "number", "at"), Index(None, "at"))

    uuid: Mapped[str] = mapped_column(key(128), primary_key=True)
    number: Mapped[str] = mapped_column(key(32), primary_key=True)
    kind: Mapped[str] = mapped_column(key(32), primary_key=True)  # merger/ports/meetings.py
    at: Mapped[datetime] = mapped_column(Instant, primary_key=True)


class Series(Base):
    """A lecture that repeats, or lies ahead: merger/series/."""

    __tablename__ = "series"
    __table_args__ = _table(UniqueConstraint("source", "source_key"), Index(None, "room_id"))

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    room_id: Mapped[int] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"))
    # Where it comes from, and what names it there: a timetable by its name, or "people".
    source: Mapped[str] = mapped_column(key(64))
    source_key: Mapped[str] = mapped_column(key())
    course_code: Mapped[str | None] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(String(255))
    # As people mean it: local times, and the zone by whose clock they are (`timetable.recurrence`).
    zone: Mapped[str] = mapped_column(key(64))  # IANA
    starts_local: Mapped[datetime] = mapped_column(DateTime)
    length_s: Mapped[int] = mapped_column(Integer)  # 0: unknown
    rule: Mapped[str | None] = mapped_column(Text)  # RFC 5545
    until_day: Mapped[date | None] = mapped_column(Date)
    exdates: Mapped[list[str]] = mapped_column(JSON)  # ISO 8601: dates, and local times
    rdates: Mapped[list[str]] = mapped_column(JSON)
    overrides: Mapped[list[list[str | None]]] = mapped_column(
        JSON
    )  # of the source: merger/series/rows.py
    mode: Mapped[str] = mapped_column(key(8))  # asks, names, no: timetable.spec.Mode
    meeting: Mapped[str | None] = mapped_column(key(32), index=True)  # the digits of its number
    drive_folder: Mapped[str | None] = mapped_column(key())
    layout: Mapped[str | None] = mapped_column(key(64))
    profile: Mapped[str | None] = mapped_column(key(64))
    external: Mapped[str | None] = mapped_column(key())  # its id in another system
    priority: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    state: Mapped[str] = mapped_column(key(16))  # active, disabled, over
    reason: Mapped[str | None] = mapped_column(String(255))  # why it is disabled, as people say it
    # timetable, people: who has ended it; what a timetable has ended begins again with it.
    ended_by: Mapped[str | None] = mapped_column(key(16))
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)

    room: Mapped[Room] = relationship()
    people: Mapped[list[SeriesPerson]] = relationship(
        order_by="SeriesPerson.position", cascade="all, delete-orphan", passive_deletes=True
    )


class SeriesPerson(Base):
    """Who gets the recordings of a series; position 0 is their owner."""

    __tablename__ = "series_people"
    __table_args__ = _table(Index(None, "user_id"))

    series_id: Mapped[int] = mapped_column(
        ForeignKey("series.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(SmallInteger)

    user: Mapped[User] = relationship()


class Occurrence(Base):
    """One lecture of a series, some weeks ahead and ever after: merger/series/."""

    __tablename__ = "occurrences"
    __table_args__ = _table(UniqueConstraint("series_id", "original_at"))

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    original_at: Mapped[datetime] = mapped_column(Instant)  # when the rule has it
    start_at: Mapped[datetime] = mapped_column(Instant, index=True)
    end_at: Mapped[datetime] = mapped_column(Instant)  # the start, where its length is unknown
    # Where they differ from those of the series.
    name: Mapped[str | None] = mapped_column(String(255))
    room_id: Mapped[int | None] = mapped_column(
        ForeignKey("rooms.id", ondelete="SET NULL"), index=True
    )
    is_off: Mapped[bool] = mapped_column(default=False, server_default="0")
    reason: Mapped[Message | None] = mapped_column(Words)  # why it is off
    # Whether people have changed it: what the rule says does not change it any more.
    is_changed: Mapped[bool] = mapped_column(default=False, server_default="0")
    # Its record, and since when it has had one: people may have removed that.
    record_id: Mapped[int | None] = mapped_column(
        ForeignKey("records.id", ondelete="SET NULL"), index=True
    )
    requested_at: Mapped[datetime | None] = mapped_column(Instant)
    # Whether the record was made for it, and is moved, renamed and called off with it.
    follows: Mapped[bool] = mapped_column(default=False, server_default="0")
    # Whether people have given the record another name or course.
    keeps_texts: Mapped[bool] = mapped_column(default=False, server_default="0")
    # When it was last changed by itself; null: never, only with its series.
    updated_at: Mapped[datetime | None] = mapped_column(Instant)

    series: Mapped[Series] = relationship()
    room: Mapped[Room | None] = relationship()
    record: Mapped[Record | None] = relationship()


class DayOff(Base):
    """Days without lectures, both included."""

    __tablename__ = "days_off"
    __table_args__ = _table(UniqueConstraint("first_day", "last_day", "room_id"))

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    first_day: Mapped[date] = mapped_column(Date)
    last_day: Mapped[date] = mapped_column(Date)
    name: Mapped[str] = mapped_column(String(255))
    # Null: in all rooms.
    room_id: Mapped[int | None] = mapped_column(
        ForeignKey("rooms.id", ondelete="CASCADE"), index=True
    )

    room: Mapped[Room | None] = relationship()


class Notification(Base):
    """A mail or a call of a webhook that is to be sent: merger/records/outbox.py."""

    __tablename__ = "messages"
    __table_args__ = _table(Index(None, "status", "due_at"))

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    # SHA-256 of what it is about and for whom: nobody is told the same thing twice.
    identity: Mapped[str] = mapped_column(key(64), unique=True)
    # What it is about: a record, or a request for access; neither, if it is a link with which
    # somebody sets their password.
    record_id: Mapped[int | None] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    access_id: Mapped[int | None] = mapped_column(
        ForeignKey("access_requests.id", ondelete="CASCADE")
    )
    version: Mapped[int] = mapped_column(Integer)
    # ready, failed, silent, confirm; leave, allowed, refused; password, invited
    kind: Mapped[str] = mapped_column(key(16))
    channel: Mapped[str] = mapped_column(key(16))  # mail, webhook
    recipient: Mapped[str] = mapped_column(key())
    status: Mapped[str] = mapped_column(key(16))  # pending, sending, sent, unknown, failed
    tries: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    due_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    facts: Mapped[Any] = mapped_column(JSON)  # what it says, as it was then
    error_message: Mapped[Message | None] = mapped_column("error_text", Words)


class Calendar(Base):
    """How far a room's calendar has been read, and the channel by which it tells of changes."""

    __tablename__ = "calendars"

    room_id: Mapped[int] = mapped_column(
        ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True
    )
    calendar_id: Mapped[str] = mapped_column(key())  # that the token is of
    sync_token: Mapped[str | None] = mapped_column(Text)
    synced_at: Mapped[datetime | None] = mapped_column(Instant)
    due_at: Mapped[datetime] = mapped_column(Instant)  # it is read again
    channel_id: Mapped[str | None] = mapped_column(key(64))
    channel_token: Mapped[str | None] = mapped_column("channel_secret", SecretText)
    channel_resource: Mapped[str | None] = mapped_column(key())
    channel_until: Mapped[datetime | None] = mapped_column(Instant)
    error_message: Mapped[Message | None] = mapped_column("error_text", Words)


class Course(Base):
    """Which course of Classroom a code means, where no sheet says it."""

    __tablename__ = "courses"

    code: Mapped[str] = mapped_column(key(), primary_key=True)
    course_id: Mapped[str] = mapped_column(key(64))


class Upload(Base):
    """A segment that was recorded live, going to a destination as it is."""

    __tablename__ = "uploads"
    __table_args__ = _table(UniqueConstraint("source_id", "destination", "name"))

    id: Mapped[int] = mapped_column(Identity, primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"))
    destination: Mapped[str] = mapped_column(key(64))
    name: Mapped[str] = mapped_column(key())
    state: Mapped[Any] = mapped_column(State)
    status: Mapped[str] = mapped_column(key(16))  # pending, uploaded, refused
    sha256: Mapped[str | None] = mapped_column(key(64))
    link: Mapped[str | None] = mapped_column(Text)
    uploaded_at: Mapped[datetime | None] = mapped_column(Instant)
    error_message: Mapped[Message | None] = mapped_column("error_text", Words)


class Fact(Base):
    """What is to be remembered beside the records, such as who this database is."""

    __tablename__ = "facts"

    name: Mapped[str] = mapped_column(key(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Secret(Base):
    """What nobody but the service may know, under a name, such as the key that signs sessions."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(key(64), primary_key=True)
    value: Mapped[str] = mapped_column(SecretText)
