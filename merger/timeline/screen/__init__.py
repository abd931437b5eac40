"""What a screen shows over a record, what follows for the right-hand side, its slides; pure."""
