"""${message}."""

# MySQL and MariaDB commit every statement by itself: each step must be possible again, and find
# out what is there already. SQLite does all of it or nothing; but foreign keys are on, so a table
# that is dropped to be made anew takes along the rows that refer to it.
# There is no downgrade: the way back is a backup.

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
