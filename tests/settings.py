"""Settings of the tests: the app as a plain site has it, without the demo site's folders.

`DIRS` and `STATICFILES_DIRS` are empty on purpose: a template or a static file of the app that
lies outside the package fails the suite.
"""

from __future__ import annotations

import os
from typing import Any

from project.database import database_settings
from project.settings import BASE_DIR as BASE_DIR
from project.settings import DEFAULT_AUTO_FIELD as DEFAULT_AUTO_FIELD
from project.settings import INSTALLED_APPS as SITE_APPS
from project.settings import MIDDLEWARE as MIDDLEWARE
from project.settings import TEMPLATES as SITE_TEMPLATES
from project.settings import TIME_ZONE as TIME_ZONE
from project.settings import USE_TZ as USE_TZ

SECRET_KEY = "tests keep no secrets"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "tests.urls"
INSTALLED_APPS = [*SITE_APPS, "tests.flows"]
TEMPLATES: list[dict[str, Any]] = [{**SITE_TEMPLATES[0], "DIRS": []}]
STATIC_URL = "static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DATABASES = {
    "default": {
        **database_settings(),
        # Two test runs on one server at once need two names.
        "TEST": {"NAME": os.environ.get("PGFLOW_TEST_DATABASE", "test_pgflow")},
    }
}

PGFLOW: dict[str, Any] = {}
