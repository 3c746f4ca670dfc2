"""A process of its own that looks at pages under django-unfold: ``{path: [status, text]}``.

Unfold puts itself in the place of Django's admin when Django starts, so it can't be had in the
process of the other tests.
"""

from __future__ import annotations

import json
import os
import sys

import django

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.views.unfold_settings"
    django.setup()

    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.get(username="boss"))
    answers = {}
    for path in sys.argv[1:]:
        response = client.get(path)
        answers[path] = [response.status_code, response.content.decode()]
    json.dump(answers, sys.stdout)
