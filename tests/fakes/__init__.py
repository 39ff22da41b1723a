"""Small stand-ins with behaviour, for unit tests only."""
