"""Settings of a site of the table: ``SITE`` names it, ``SITE_DATABASE`` says where its data are."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.settings import *  # noqa: F403 - a settings module
from tests.settings import DATABASES
from tests.settings import INSTALLED_APPS as PLAIN_APPS
from tests.sites.table import SITES

_SITE = SITES[os.environ["SITE"]]
_FOLDER = Path(os.environ["SITE_FOLDER"])
_PLACE = json.loads(os.environ["SITE_DATABASE"])

DEBUG = False
ALLOWED_HOSTS = ["testserver"]
INSTALLED_APPS = [*PLAIN_APPS, *(["tests.sites.people"] if _SITE.has_own_tables else [])]
STATIC_ROOT = _FOLDER / "static"
DATABASES["default"] |= {**_PLACE, "OPTIONS": {**_PLACE.get("OPTIONS", {}), **_SITE.options}}
if _SITE.is_apart:
    DATABASES["flows"] = DATABASES["default"]
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _FOLDER / "site.sqlite3",
    }
globals().update(_SITE.settings)
