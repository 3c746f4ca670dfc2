#!/usr/bin/env python
"""Command line of the demo site: `./manage.py help`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command that `sys.argv` names."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import OperationalError
    except ImportError as error:
        sys.exit(f"{error}. Run `make install`, then `.venv/bin/python manage.py`.")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "DATABASE_URL" in str(error):
            sys.exit(str(error))
        raise
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") == "53100":
            sys.exit(f"The database's disk is full: {error}")
        if type(error.__cause__).__name__ == "EmbeddedServerError":
            sys.exit(str(error))
        raise


if __name__ == "__main__":
    main()
