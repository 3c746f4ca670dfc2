"""Step functions have contracts: attempts keep what breaks them, steps say where inputs come from."""

from __future__ import annotations

import django.db.models.lookups
from django.db import migrations, models

from pgflow_django import operations


class Migration(migrations.Migration):
    dependencies = [
        ("pgflow_django", "0007_fixtures"),
    ]

    operations = [
        migrations.AddField(
            model_name="workflowstep",
            name="inputs",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="workflowtaskattempt",
            name="details",
            field=models.JSONField(help_text="what else is known of the error", null=True),
        ),
        migrations.AddField(
            model_name="workflowversionstep",
            name="inputs",
            field=models.JSONField(null=True),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("inputs__isnull", True),
                    django.db.models.lookups.Exact(
                        models.Func(
                            "inputs", function="jsonb_typeof", output_field=models.TextField()
                        ),
                        "object",
                    ),
                    _connector="OR",
                ),
                name="step_inputs_is_an_object",
            ),
        ),
        operations.InstallFunctions("0008"),
    ]
