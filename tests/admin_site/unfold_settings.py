"""Settings of a site whose admin wears django-unfold, on the database of a test."""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES as DATABASES
from tests.settings import INSTALLED_APPS as OUR_APPS
from tests.settings import MIDDLEWARE as OUR_MIDDLEWARE

DATABASES["default"].update(json.loads(os.environ["SITE_TEST_DATABASE"]))
INSTALLED_APPS = ["unfold", *OUR_APPS]
# Unfold's own scripts evaluate text, which the strict policy forbids.
MIDDLEWARE = [name for name in OUR_MIDDLEWARE if not name.endswith("StrictPolicy")]
