"""Migrations of the app ``people``."""
