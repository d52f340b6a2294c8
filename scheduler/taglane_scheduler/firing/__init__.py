"""Turns due instants of jobs into runs."""
