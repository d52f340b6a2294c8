"""Celery on our transport."""
