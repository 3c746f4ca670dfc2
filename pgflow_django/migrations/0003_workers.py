"""Workers of many processes: their node, and who wants to be told of new messages."""

from __future__ import annotations

from django.db import migrations, models

from pgflow_django import operations


class Migration(migrations.Migration):
    dependencies = [("pgflow_django", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="workflowworker",
            name="node",
            field=models.TextField(
                db_default="", default="", help_text="the Celery node that it belongs to, if any"
            ),
        ),
        migrations.AddField(
            model_name="workflowworker",
            name="is_asleep",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="wants NOTIFY to tell it of new messages",
            ),
        ),
        operations.InstallFunctions("0003"),
    ]
