"""The first tables. Frozen: what changes later is another migration."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


# MySQL and MariaDB commit every statement by itself. So that a migration which was cut off can be
# run again, each step passes over what is there.
def _create_table(name: str, *parts: Any) -> None:
    op.create_table(
        name, *parts, if_not_exists=True, mysql_engine="InnoDB", mysql_charset="utf8mb4"
    )


def _create_index(name: str, table: str, *columns: str) -> None:
    # MySQL has no CREATE INDEX IF NOT EXISTS.
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def _refers(column: str, target: str, name: str, on_delete: str = "CASCADE") -> Any:
    return sa.ForeignKeyConstraint([column], [target], name=name, ondelete=on_delete)


def upgrade() -> None:
    # MariaDB takes no NOT NULL where a column is computed.
    optional = getattr(op.get_bind().dialect, "is_mariadb", False)
    _create_table(
        "rooms",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("name", _key(), nullable=False),
        sa.Column("zone", _key(64), nullable=False),
        sa.Column("drive_folder", _key()),
        sa.Column("calendar_id", _key()),
        sa.Column("sound_source", _key()),
        sa.Column("chunk_s", sa.Integer(), nullable=False, server_default="1800"),
        sa.PrimaryKeyConstraint("id", name="pk_rooms"),
        sa.UniqueConstraint("name", name="uq_rooms_name"),
    )
    _create_table(
        "sources",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("room_id", IDENTITY, nullable=False),
        sa.Column("name", _key(), nullable=False),
        sa.Column("role", _key(16), nullable=False),
        sa.Column("kind", _key(32), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("credentials", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_sources"),
        sa.UniqueConstraint("room_id", "name", name="uq_sources_room_id_name"),
        _refers("room_id", "rooms.id", "fk_sources_room_id"),
    )
    _create_table(
        "users",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("email", _key(), nullable=False),
        sa.Column("name", sa.String(255)),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    _create_table(
        "records",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("room_id", IDENTITY),
        sa.Column("start_at", INSTANT, nullable=False),
        sa.Column("end_at", INSTANT, nullable=False),
        sa.Column("zone", _key(64), nullable=False),
        sa.Column("event_name", sa.String(1024), nullable=False),
        sa.Column("event_id", _key()),
        sa.Column("calendar_id", _key()),
        sa.Column("course_code", sa.String(255)),
        sa.Column("layout", _key(64), nullable=False),
        sa.Column("profile", _key(64), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("idempotency_key", _key()),
        sa.Column("status", _key(16), nullable=False, server_default="queued"),
        sa.Column("stage", _key(16), nullable=False, server_default="collect"),
        sa.Column(
            "processing",
            sa.SmallInteger(),
            sa.Computed("CASE WHEN status = 'running' THEN 1 ELSE 0 END", persisted=False),
            nullable=optional,
        ),
        sa.Column(
            "done",
            sa.SmallInteger(),
            sa.Computed(
                "CASE WHEN status IN ('delivered', 'failed', 'cancelled') THEN 1 ELSE 0 END",
                persisted=False,
            ),
            nullable=optional,
        ),
        sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lost", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("run_after", INSTANT, nullable=False),
        sa.Column("claimed_by", _key()),
        sa.Column("claimed_at", INSTANT),
        sa.Column("lease_until", INSTANT),
        sa.Column("progress", sa.Double(), nullable=False, server_default="0"),
        sa.Column("error_code", _key(64)),
        sa.Column("error_text", sa.Text()),
        sa.Column("cancel_requested_at", INSTANT),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("delivered_version", sa.Integer()),
        sa.Column("delivered_at", INSTANT),
        sa.Column("watched_until", INSTANT),
        sa.Column("media", sa.JSON()),
        sa.Column("report", LONG_TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
        _refers("room_id", "rooms.id", "fk_records_room_id", "SET NULL"),
        sa.UniqueConstraint("idempotency_key", name="uq_records_idempotency_key"),
    )
    _create_index("ix_records_due", "records", "status", "run_after", "id")
    _create_index("ix_records_lease", "records", "status", "lease_until")
    _create_index("ix_records_claimed", "records", "claimed_at")
    _create_index("ix_records_room_id_start_at", "records", "room_id", "start_at")
    _create_index("ix_records_watched_until", "records", "watched_until")
    _create_table(
        "record_users",
        sa.Column("record_id", IDENTITY, nullable=False),
        sa.Column("user_id", IDENTITY, nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "user_id", name="pk_record_users"),
        _refers("record_id", "records.id", "fk_record_users_record_id"),
        _refers("user_id", "users.id", "fk_record_users_user_id"),
    )
    _create_index("ix_record_users_user_id", "record_users", "user_id")
    _create_table(
        "segments",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("source_id", IDENTITY, nullable=False),
        sa.Column("origin", _key(512), nullable=False),
        sa.Column("fingerprint", _key(128), nullable=False),
        sa.Column("start_at", INSTANT, nullable=False),
        sa.Column("end_at", INSTANT),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("collected_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_segments"),
        sa.UniqueConstraint("source_id", "origin", name="uq_segments_source_id_origin"),
        _refers("source_id", "sources.id", "fk_segments_source_id"),
    )
    _create_table(
        "chunks",
        sa.Column("record_id", IDENTITY, nullable=False),
        sa.Column("start_at", INSTANT, nullable=False),
        sa.Column("end_at", INSTANT, nullable=False),
        sa.Column("presence", sa.Boolean(), nullable=False),
        sa.Column("verdict", _key(32), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "start_at", name="pk_chunks"),
        _refers("record_id", "records.id", "fk_chunks_record_id"),
    )
    _create_table(
        "renditions",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("record_id", IDENTITY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", _key(16), nullable=False),
        sa.Column("path", sa.Text()),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", _key(64), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_renditions"),
        sa.UniqueConstraint(
            "record_id", "version", "kind", name="uq_renditions_record_id_version_kind"
        ),
        _refers("record_id", "records.id", "fk_renditions_record_id"),
    )
    _create_table(
        "deliveries",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("record_id", IDENTITY, nullable=False),
        sa.Column("destination", _key(64), nullable=False),
        sa.Column("kind", _key(16), nullable=False),
        sa.Column("name", _key(512), nullable=False),
        sa.Column("name_key", _key(64), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("status", _key(16), nullable=False),
        sa.Column("version", sa.Integer()),
        sa.Column("sha256", _key(64)),
        sa.Column("link", sa.Text()),
        sa.Column("delivered_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint(
            "record_id", "destination", "kind", name="uq_deliveries_record_id_destination_kind"
        ),
        sa.UniqueConstraint("destination", "name_key", name="uq_deliveries_destination_name_key"),
        _refers("record_id", "records.id", "fk_deliveries_record_id"),
    )
    _create_table(
        "events",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("record_id", IDENTITY, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("kind", _key(32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        _refers("record_id", "records.id", "fk_events_record_id"),
    )
    _create_index("ix_events_record_id_id", "events", "record_id", "id")
    _create_table(
        "facts",
        sa.Column("name", _key(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_facts"),
    )
