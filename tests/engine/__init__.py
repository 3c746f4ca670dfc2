"""Tests of the engine: its promises, through its public doors, on a real PostgreSQL."""
