"""One command a module; what they share is in ``pgflow_django.cli``."""
