"""What the API takes and gives, as models that validate and document."""
