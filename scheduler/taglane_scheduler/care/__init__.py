"""Looks after what goes wrong: dead workers."""
