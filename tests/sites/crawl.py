"""A process of its own that looks at all of one site, and prints its complaints as JSON.

Databases, languages, users and files are what a process begins with: no test can change them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import django

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.sites.settings"
    django.setup()

    from django.core.management import call_command
    from django.db import connections
    from django.test.utils import setup_test_environment

    from tests.sites import calls, sample
    from tests.sites.table import SITES
    from tests.sites.visiting import Visitor

    setup_test_environment(debug=False)
    site, folder = SITES[os.environ["SITE"]], Path(os.environ["SITE_FOLDER"])
    if "STORAGES" in site.settings:
        call_command("collectstatic", interactive=False, verbosity=0)
    for alias in connections:
        call_command("migrate", database=alias, verbosity=0, skip_checks=False)
    complaints: list[str] = []
    for number, root in enumerate(site.admins):
        runs = sample.make(again=number > 0)
        complaints += Visitor(root, runs).look()
    complaints += calls.complaints(runs, folder)
    json.dump(complaints, sys.stdout)
