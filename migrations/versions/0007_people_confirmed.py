"""Who is asked whether they want their records, accounts at providers, keys that made records.

Names lose the characters that decide how the text around them is shown, and addresses get the one
form in which they are compared.
"""

import unicodedata
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"


def _key(length: int = 255) -> Any:
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, "mysql")


IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
NAMES = (
    ("records", "event_name"), ("records", "course_code"), ("users", "name"), ("api_keys", "name"),
    ("offers", "name"),
)  # fmt: skip


# MySQL and MariaDB commit every statement by itself: each step passes over what is there.
def _create_table(name: str, *parts: Any) -> None:
    op.create_table(
        name, *parts, if_not_exists=True, mysql_engine="InnoDB", mysql_charset="utf8mb4"
    )


def _create_index(name: str, table: str, *columns: str) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def _refers(column: str, target: str, name: str, ondelete: str = "CASCADE") -> Any:
    return sa.ForeignKeyConstraint([column], [target], name=name, ondelete=ondelete)


def _clean(text: str) -> str:
    """Return a name without controls and formats; words keep what joins their letters."""
    kept = (
        c for c in text
        if c.isspace() or c in "\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs")
    )  # fmt: skip
    # What was nothing but those stays as it is: something has to be there.
    return " ".join("".join(kept).split()) or text


def _normal(address: str) -> str:
    """Return an address as it is compared from now on; what would look like ASCII stays."""
    if any(
        not c.isascii() and any(n.isascii() for n in unicodedata.normalize("NFKC", c))
        for c in address
    ):
        return address
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address).lower())


def _rewrite(table: str, column: str, change: Callable[[str], str]) -> None:
    """Change the texts of a column; where two would become one, both stay as they are."""
    bind, name = op.get_bind(), sa.column(column)
    rows = sa.table(table, sa.column("id"), name)
    there = bind.execute(sa.select(rows.c.id, name).where(name.is_not(None))).all()
    changes = [(row, change(text)) for row, text in there if change(text) != text]
    taken = {text for _, text in there} if column == "email" else set()
    for row, text in changes:
        if text not in taken:
            taken |= {text} if column == "email" else set()
            bind.execute(sa.update(rows).where(rows.c.id == row).values({column: text}))


def upgrade() -> None:
    _create_table(
        "confirmations",
        sa.Column("user_id", IDENTITY, nullable=False, autoincrement=False),
        sa.Column("named_by", IDENTITY),
        sa.Column("named_at", INSTANT, nullable=False),
        sa.Column("digest", _key(64)),
        sa.Column("confirmed_at", INSTANT),
        sa.PrimaryKeyConstraint("user_id", name="pk_confirmations"),
        sa.UniqueConstraint("digest", name="uq_confirmations_digest"),
        _refers("user_id", "users.id", "fk_confirmations_user_id"),
        _refers("named_by", "users.id", "fk_confirmations_named_by", "SET NULL"),
    )
    _create_index("ix_confirmations_named_by_named_at", "confirmations", "named_by", "named_at")
    _create_table(
        "oidc_accounts",
        sa.Column("issuer", _key(), nullable=False),
        sa.Column("subject", _key(), nullable=False),
        sa.Column("user_id", IDENTITY, nullable=False),
        sa.Column("bound_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_oidc_accounts"),
        sa.UniqueConstraint("user_id", "issuer", name="uq_oidc_accounts_user_id_issuer"),
        _refers("user_id", "users.id", "fk_oidc_accounts_user_id"),
    )
    _create_table(
        "record_keys",
        sa.Column("record_id", IDENTITY, nullable=False, autoincrement=False),
        sa.Column("key_id", IDENTITY, nullable=False),
        sa.PrimaryKeyConstraint("record_id", name="pk_record_keys"),
        _refers("record_id", "records.id", "fk_record_keys_record_id"),
        _refers("key_id", "api_keys.id", "fk_record_keys_key_id"),
    )
    _create_index("ix_record_keys_key_id", "record_keys", "key_id")
    _rewrite("users", "email", _normal)
    for table, column in NAMES:
        _rewrite(table, column, _clean)
