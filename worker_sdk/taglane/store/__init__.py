"""The store: what is kept in Redis, and the moves on it."""
