"""Shared pools: which tenants have work for them, and what dead workers of theirs held."""
