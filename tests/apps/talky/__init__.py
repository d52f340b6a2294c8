"""Tasks that log, print and write to stderr, as applications do."""
