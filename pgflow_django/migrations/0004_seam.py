"""What a step function does never stops the engine: bounds of what is joined, and refusals."""

from __future__ import annotations

from django.db import migrations, models

from pgflow_django import operations


class Migration(migrations.Migration):
    dependencies = [
        ("pgflow_django", "0003_drafts"),
    ]

    operations = [
        migrations.AddField(
            model_name="workflowstepstate",
            name="output_bytes",
            field=models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="size of what its completed tasks gave, as PostgreSQL stores it",
            ),
        ),
        operations.InstallFunctions("0004"),
    ]
