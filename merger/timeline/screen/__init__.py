"""What a screen shows over a record, and what follows for the right-hand side; pure."""
