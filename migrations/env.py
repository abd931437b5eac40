"""Runs migrations on the connection that merger/db/schema.py hands over; alembic runs this file."""

from alembic import context

given = context.config.attributes
context.configure(
    connection=given["connection"],
    version_table=given["version_table"],
    target_metadata=given.get("metadata"),  # only to write a new migration
)
with context.begin_transaction():
    context.run_migrations()
