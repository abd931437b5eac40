"""What the screen of a record shows: watched or sampled, read, and kept in the cache."""
