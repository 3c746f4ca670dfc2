"""Measures of the editor and of a run's page: layout, pages in a real Chromium, size of scripts."""
