"""Steps have a description: a note for people, which versions keep too."""

from __future__ import annotations

import django.db.models.functions.text
import django.db.models.lookups
from django.db import migrations, models

from pgflow_django import operations


class Migration(migrations.Migration):
    dependencies = [
        ("pgflow_django", "0005_rank_messages"),
    ]

    operations = [
        migrations.AddField(
            model_name="workflowstep",
            name="description",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AddField(
            model_name="workflowversionstep",
            name="description",
            field=models.TextField(db_default="", default=""),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.LessThanOrEqual(
                    django.db.models.functions.text.Length("description"), 2000
                ),
                name="step_description_is_not_too_long",
            ),
        ),
        operations.InstallFunctions("0006"),
    ]
