"""Tests of pgflow_django and of the demo site; not shipped."""
