"""Tests of the pages around the editor in the Django admin."""
