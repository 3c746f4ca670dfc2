"""The tests' site with django-unfold in front of Django's admin, on the database of the tests."""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403 - a settings module
from tests.settings import DATABASES
from tests.settings import INSTALLED_APPS as PLAIN_APPS

INSTALLED_APPS = ["unfold", *PLAIN_APPS]
DATABASES["default"] |= json.loads(os.environ["SITE_TEST_DATABASE"])
