"""What a step does never stops the engine: bounds of what is joined, refusals, ranks, paused runs."""

from __future__ import annotations

import pgtrigger.compiler
import pgtrigger.migrations
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
        migrations.AddField(
            model_name="workflowworker",
            name="lease_seconds",
            field=models.FloatField(db_default=30.0, default=30.0),
        ),
        migrations.AddField(
            model_name="workflowworker",
            name="makes_room_since",
            field=models.DateTimeField(
                help_text="when its threads last began to wait for one another for such a task",
                null=True,
            ),
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="workflowrun",
            name="run_status_moves_as_allowed",
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowrun",
            trigger=pgtrigger.compiler.Trigger(
                name="run_status_moves_as_allowed",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."status" IS DISTINCT FROM NEW."status" AND (OLD."status" || \':\' || NEW."status") <> ALL (\'{started:completed,started:failed,started:cancelled,started:paused,paused:started,paused:completed,paused:failed,paused:cancelled,failed:started,cancelled:started}\'))',
                    declare="DECLARE _is_valid_transition BOOLEAN;",
                    func='SELECT CONCAT(OLD."status", \':\', NEW."status") = ANY(\'{started:completed,started:failed,started:cancelled,started:paused,paused:started,paused:completed,paused:failed,paused:cancelled,failed:started,cancelled:started}\'::text[]) INTO _is_valid_transition; IF (_is_valid_transition IS FALSE AND OLD."status" IS DISTINCT FROM NEW."status") THEN RAISE EXCEPTION \'pgtrigger: Invalid transition of field "status" from "%" to "%" on table %\', OLD."status", NEW."status", TG_TABLE_NAME; ELSE RETURN NEW; END IF;',
                    hash="2463d45b048641187bc4f857c3d005d5e9b94bdc",
                    operation="UPDATE",
                    pgid="pgtrigger_run_status_moves_as_allowed_07545",
                    table="workflow_runs",
                    when="BEFORE",
                ),
            ),
        ),
        operations.InstallFunctions("0004"),
    ]
