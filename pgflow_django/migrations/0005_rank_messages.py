"""Messages are claimed in the order in which they are due; nobody waits for the indexes."""

from __future__ import annotations

from django.db import migrations

from pgflow_django import operations


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("pgflow_django", "0004_seam"),
    ]

    operations = [
        operations.RankMessages(),
    ]
