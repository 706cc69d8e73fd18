"""Filters: which feedback is believed, and how much."""
