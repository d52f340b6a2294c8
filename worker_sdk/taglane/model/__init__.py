"""Values and decisions, pure: no Redis, no clock, no logging."""
