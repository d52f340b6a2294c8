"""Tenants and their credentials."""
