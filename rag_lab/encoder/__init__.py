"""Texts into unit vectors: computed here, or read from files."""
