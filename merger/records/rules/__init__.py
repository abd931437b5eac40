"""What is decided about records: when they are due, tried again, and ready. Pure."""
