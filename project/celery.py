"""The demo site's Celery app: `celery -A project worker`."""

from __future__ import annotations

import os

from celery import Celery

from pgflow_django.celery import install

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("project")
app.conf.broker_url = os.environ.get("CELERY_BROKER_URL", "memory://")
if app.conf.broker_url.startswith("memory:"):
    # The work itself travels through PostgreSQL: this broker only carries remote control.
    app.conf.broker_transport_options = {"polling_interval": 0.2}
app.conf.broker_connection_retry_on_startup = True
app.autodiscover_tasks()
install(app)
