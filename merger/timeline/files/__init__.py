"""What is known of files: their names, where they meet, clocks that jump. Pure."""
