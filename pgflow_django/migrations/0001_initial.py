"""Everything that pgflow_django keeps in the database: tables, triggers, functions, queues."""

import django.contrib.postgres.fields
import django.db.models.constraints
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.db.models.lookups
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import pgflow_django.models.definitions
from pgflow_django import operations


def _sql(name: str, reverse: str = "") -> migrations.RunSQL:
    return migrations.RunSQL(operations.frozen_sql("0001", name), reverse)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        operations.DropTriggerFunctions(),
        operations.InstallPgmq(),
        operations.CreateSchema(),
        migrations.CreateModel(
            name="WorkflowClaim",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        help_text="chosen by the thread that claims",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("worker_id", models.BigIntegerField()),
                (
                    "tasks",
                    models.JSONField(
                        help_text="list of {run_id, step_slug, task_index (the first), count}"
                    ),
                ),
                (
                    "claimed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "db_table": "workflow_claims",
            },
        ),
        migrations.CreateModel(
            name="WorkflowRun",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("workflow_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
                ("version", models.IntegerField()),
                ("version_id", models.BigIntegerField()),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("started", "started"),
                            ("paused", "paused"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        db_default="started",
                        default="started",
                    ),
                ),
                ("input", models.JSONField()),
                ("output", models.JSONField(null=True)),
                ("error", models.JSONField(null=True)),
                ("remaining_steps", models.IntegerField()),
                ("key", models.TextField(null=True)),
                ("parent_run_id", models.UUIDField(null=True)),
                (
                    "owner_id",
                    models.BigIntegerField(
                        help_text="the process that runs it by itself; null: any worker", null=True
                    ),
                ),
                ("has_caller_functions", models.BooleanField(db_default=False, default=False)),
                (
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "workflow_runs",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="WorkflowRunEvent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("run_id", models.UUIDField()),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("level", models.TextField(db_default="info", default="info")),
                ("kind", models.TextField()),
                (
                    "step_slug",
                    pgflow_django.models.definitions.SlugField(db_collation="C", null=True),
                ),
                ("task_index", models.IntegerField(null=True)),
                ("message", models.TextField()),
                ("data", models.JSONField(null=True)),
            ],
            options={
                "db_table": "workflow_run_events",
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="WorkflowStep",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "workflow_slug",
                        "step_slug",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("workflow_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
                ("step_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
                (
                    "step_type",
                    models.TextField(
                        choices=[("single", "single"), ("map", "map")],
                        db_default="single",
                        default="single",
                    ),
                ),
                (
                    "step_index",
                    models.IntegerField(help_text="0-based position, unique within the flow"),
                ),
                ("deps_count", models.IntegerField(db_default=0, default=0)),
                ("initial_tasks", models.IntegerField(blank=True, null=True)),
                ("max_attempts", models.IntegerField(blank=True, null=True)),
                (
                    "timeout",
                    models.IntegerField(blank=True, help_text="seconds per attempt", null=True),
                ),
                ("base_delay", models.IntegerField(blank=True, help_text="seconds", null=True)),
                ("start_delay", models.IntegerField(db_default=0, default=0, help_text="seconds")),
                ("function", models.TextField(blank=True, null=True)),
                ("params", models.JSONField(blank=True, null=True)),
                ("queue", models.TextField(blank=True, null=True)),
            ],
            options={
                "db_table": "workflow_steps",
                "ordering": ["workflow_slug", "step_index"],
            },
        ),
        migrations.CreateModel(
            name="WorkflowStepDependency",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "workflow_slug",
                        "dep_slug",
                        "step_slug",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("workflow_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
                ("dep_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
                ("step_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
            ],
            options={
                "db_table": "workflow_step_dependencies_def",
            },
        ),
        migrations.CreateModel(
            name="WorkflowStepState",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run_id",
                        "step_slug",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("run_id", models.UUIDField()),
                ("step_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
                ("step_index", models.IntegerField()),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("created", "created"),
                            ("started", "started"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                            ("cancelled", "cancelled"),
                        ],
                        db_default="created",
                        default="created",
                    ),
                ),
                ("remaining_deps", models.IntegerField()),
                (
                    "remaining_tasks",
                    models.IntegerField(help_text="null until the step starts", null=True),
                ),
                (
                    "initial_tasks",
                    models.IntegerField(
                        help_text="how many tasks it has; null until known, 0 for a map over []",
                        null=True,
                    ),
                ),
                ("started_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "workflow_step_states",
                "ordering": ["run_id", "step_index"],
            },
        ),
        migrations.CreateModel(
            name="WorkflowStepTask",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run_id",
                        "step_slug",
                        "task_index",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("run_id", models.UUIDField()),
                ("step_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
                ("task_index", models.IntegerField()),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("queued", "queued"),
                            ("started", "started"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                            ("cancelled", "cancelled"),
                        ],
                        default="queued",
                    ),
                ),
                ("attempts_count", models.IntegerField(db_default=0, default=0)),
                (
                    "claim_id",
                    models.BigIntegerField(help_text="the fence: who may settle it", null=True),
                ),
                ("worker", models.TextField(null=True)),
                ("item", models.JSONField(help_text="the element of a map", null=True)),
                ("output", models.JSONField(null=True)),
                ("error", models.JSONField(help_text="of the last failed attempt", null=True)),
                (
                    "queued_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("started_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "workflow_step_tasks",
                "ordering": ["run_id", "step_slug", "task_index"],
            },
        ),
        migrations.CreateModel(
            name="WorkflowTaskAttempt",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("run_id", models.UUIDField()),
                ("step_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
                ("task_index", models.IntegerField()),
                ("attempt", models.IntegerField(help_text="1-based")),
                ("code", models.TextField(help_text="step_failed, step_timeout, worker_lost, …")),
                ("error_type", models.TextField()),
                ("error_message", models.TextField()),
                ("traceback", models.TextField(default="")),
                ("worker", models.TextField(default="")),
                ("started_at", models.DateTimeField(null=True)),
                (
                    "ended_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "retry_at",
                    models.DateTimeField(help_text="null: it was the last attempt", null=True),
                ),
            ],
            options={
                "db_table": "workflow_task_attempts",
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="WorkflowVersion",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("workflow_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
                ("version", models.IntegerField()),
                (
                    "queues",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        help_text="every queue that a run of it may use",
                        size=None,
                    ),
                ),
                ("steps_count", models.IntegerField()),
                (
                    "has_root_map",
                    models.BooleanField(help_text="whether starting a run must look at its input"),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "db_table": "workflow_versions",
            },
        ),
        migrations.CreateModel(
            name="WorkflowVersionStep",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "version_id",
                        "step_slug",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("version_id", models.BigIntegerField()),
                ("step_slug", pgflow_django.models.definitions.SlugField(db_collation="C")),
                ("step_index", models.IntegerField()),
                ("step_type", models.TextField(choices=[("single", "single"), ("map", "map")])),
                (
                    "depends_on",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=pgflow_django.models.definitions.SlugField(db_collation="C"),
                        help_text="in the order of step_index",
                        size=None,
                    ),
                ),
                (
                    "dependents",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=pgflow_django.models.definitions.SlugField(db_collation="C"),
                        size=None,
                    ),
                ),
                ("initial_tasks", models.IntegerField(null=True)),
                ("max_attempts", models.IntegerField()),
                ("timeout", models.IntegerField()),
                ("base_delay", models.IntegerField()),
                ("start_delay", models.IntegerField()),
                ("function", models.TextField()),
                ("params", models.JSONField(null=True)),
                ("queue", models.TextField()),
            ],
            options={
                "db_table": "workflow_version_steps",
                "ordering": ["version_id", "step_index"],
            },
        ),
        migrations.CreateModel(
            name="WorkflowWorker",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("kind", models.TextField(help_text="in_process or celery")),
                ("hostname", models.TextField()),
                ("pid", models.IntegerField()),
                (
                    "queues",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), default=list, size=None
                    ),
                ),
                (
                    "functions",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        help_text="what it can run; null: whatever its runs need",
                        null=True,
                        size=None,
                    ),
                ),
                (
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("lease_until", models.DateTimeField()),
                (
                    "alone_claim",
                    models.BigIntegerField(
                        help_text="of a task that was lost together with others: nothing else beside it",
                        null=True,
                    ),
                ),
            ],
            options={
                "db_table": "workflow_workers",
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Workflow",
            fields=[
                (
                    "workflow_slug",
                    pgflow_django.models.definitions.SlugField(
                        db_collation="C", primary_key=True, serialize=False
                    ),
                ),
                ("max_attempts", models.IntegerField(db_default=3, default=3)),
                (
                    "timeout",
                    models.IntegerField(db_default=30, default=30, help_text="seconds per attempt"),
                ),
                (
                    "base_delay",
                    models.IntegerField(
                        db_default=1,
                        default=1,
                        help_text="seconds before the first retry; doubles with each",
                    ),
                ),
                ("queue", models.TextField(db_default="default", default="default")),
                ("description", models.TextField(blank=True, db_default="", default="")),
                ("version", models.IntegerField(db_default=1, default=1, editable=False)),
                ("input_schema", models.JSONField(blank=True, null=True)),
                ("is_active", models.BooleanField(db_default=True, default=True)),
                (
                    "origin",
                    models.TextField(
                        choices=[
                            ("api", "API"),
                            ("code", "code"),
                            ("editor", "editor"),
                            ("agent", "agent"),
                        ],
                        db_default="api",
                        default="api",
                    ),
                ),
                (
                    "fingerprint",
                    models.TextField(
                        db_default="",
                        default="",
                        editable=False,
                        help_text="of the code that wrote a code flow",
                    ),
                ),
                ("created_by", models.TextField(blank=True, db_default="", default="")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "db_table": "workflows",
                "ordering": ["-created_at", "workflow_slug"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("workflow_slug__regex", "^[a-zA-Z_][a-zA-Z0-9_]*$"),
                            django.db.models.lookups.LessThanOrEqual(
                                django.db.models.functions.text.Length("workflow_slug"), 128
                            ),
                            models.Q(("workflow_slug__in", ["run"]), _negated=True),
                        ),
                        name="workflow_slug_follows_the_slug_rule",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("max_attempts__range", (0, 1000))),
                        name="workflow_max_attempts_is_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("timeout__range", (1, 604800))),
                        name="workflow_timeout_is_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("base_delay__range", (0, 604800))),
                        name="workflow_base_delay_is_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("queue__regex", "^[a-z_][a-z0-9_]{0,39}$"),
                            models.Q(("queue", "in_process"), _negated=True),
                        ),
                        name="workflow_queue_follows_the_queue_rule",
                    ),
                    models.CheckConstraint(
                        condition=django.db.models.lookups.LessThanOrEqual(
                            django.db.models.functions.text.Length("description"), 10000
                        ),
                        name="workflow_description_is_not_too_long",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("input_schema__isnull", True),
                            django.db.models.lookups.Exact(
                                models.Func(
                                    "input_schema",
                                    function="jsonb_typeof",
                                    output_field=models.TextField(),
                                ),
                                "object",
                            ),
                            _connector="OR",
                        ),
                        name="workflow_input_schema_is_an_object",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("version__gte", 1)), name="workflow_version_is_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("origin__in", ["api", "code", "editor", "agent"])),
                        name="workflow_origin_is_known",
                    ),
                ],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflow",
            trigger=pgtrigger.compiler.Trigger(
                name="new_flow_continues_version_numbers",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n        new.version := greatest(new.version, 1 + (\n            select max(v.version) from workflow_versions v\n            where v.workflow_slug = new.workflow_slug\n        ));\n        return new;\n    ",
                    hash="7d55f576fdbbc582e2656486ba7ae9419d538790",
                    operation="INSERT",
                    pgid="pgtrigger_new_flow_continues_version_numbers_6fce1",
                    table="workflows",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflow",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_flow_gets_a_new_version",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n        if new.version <> old.version then\n            if new.version <= (\n                select max(v.version) from workflow_versions v\n                where v.workflow_slug = new.workflow_slug\n            ) then\n                raise exception 'Flow \"%\" has had runs of version % already.',\n                    new.workflow_slug, new.version\n                    using errcode = 'check_violation', constraint = 'version_is_not_used_again';\n            end if;\n        elsif\n            (new.max_attempts, new.timeout, new.base_delay, new.queue, new.description,\n                new.input_schema)\n            is distinct from\n            (old.max_attempts, old.timeout, old.base_delay, old.queue, old.description,\n                old.input_schema)\n        then\n            new.version := old.version + 1;\n        end if;\n        return new;\n    ",
                    hash="229443ebbe26afc45d26c46f204222f1b1a3935a",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_flow_gets_a_new_version_b171e",
                    table="workflows",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflow",
            trigger=pgtrigger.compiler.Trigger(
                name="active_flow_cannot_be_deleted",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n        if exists (\n            select from workflow_runs r\n            where r.workflow_slug = old.workflow_slug and r.status in ('started', 'paused')\n        ) then\n            raise exception 'Flow \"%\" has active runs. Cancel them before you delete it.',\n                old.workflow_slug\n                using errcode = 'check_violation', constraint = 'active_flow_cannot_be_deleted';\n        end if;\n        return old;\n    ",
                    hash="bcba8a96adcb9704a4f4521b9ee475a408aa9957",
                    operation="DELETE",
                    pgid="pgtrigger_active_flow_cannot_be_deleted_3a8b1",
                    table="workflows",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflow",
            trigger=pgtrigger.compiler.Trigger(
                name="definition_is_sound",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (old.version is distinct from new.version)",
                    constraint="CONSTRAINT",
                    func="\n        if exists (\n            select from workflows w\n            where w.workflow_slug = new.workflow_slug and w.version = new.version\n        ) then  -- otherwise it was changed again, and that change has its own check\n            perform pgflow._check_definition(new.workflow_slug);\n        end if;\n        return null;\n    ",
                    hash="19d3a77d1f5d4f181d8251e0fd1fb69870e87d8c",
                    operation="UPDATE",
                    pgid="pgtrigger_definition_is_sound_8728e",
                    table="workflows",
                    timing="DEFERRABLE INITIALLY DEFERRED",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflow",
            trigger=pgtrigger.compiler.Trigger(
                name="workflow_key_is_read_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."workflow_slug" IS DISTINCT FROM (NEW."workflow_slug") OR OLD."created_at" IS DISTINCT FROM (NEW."created_at"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="424dc158d62b8d8fbb46970fd3c58995914b0d63",
                    operation="UPDATE",
                    pgid="pgtrigger_workflow_key_is_read_only_16ab0",
                    table="workflows",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="workflowclaim",
            index=models.Index(fields=["worker_id"], name="workflow_claims_by_worker"),
        ),
        migrations.AddIndex(
            model_name="workflowrun",
            index=models.Index(fields=["workflow_slug", "-id"], name="workflow_runs_by_flow"),
        ),
        migrations.AddIndex(
            model_name="workflowrun",
            index=models.Index(
                condition=models.Q(("status__in", ["started", "paused"])),
                fields=["workflow_slug"],
                name="workflow_runs_active",
            ),
        ),
        migrations.AddIndex(
            model_name="workflowrun",
            index=models.Index(
                condition=models.Q(
                    ("owner_id__isnull", False), ("status__in", ["started", "paused"])
                ),
                fields=["owner_id"],
                name="workflow_runs_owned",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("remaining_steps__gte", 0),
                    models.Q(
                        models.Q(
                            ("ended_at__isnull", True),
                            ("error__isnull", True),
                            ("output__isnull", True),
                            ("status__in", ["started", "paused"]),
                        ),
                        models.Q(
                            ("ended_at__isnull", False),
                            ("error__isnull", True),
                            ("output__isnull", False),
                            ("remaining_steps", 0),
                            ("status", "completed"),
                        ),
                        models.Q(
                            ("ended_at__isnull", False),
                            ("error__isnull", False),
                            ("output__isnull", True),
                            ("status", "failed"),
                        ),
                        models.Q(
                            ("ended_at__isnull", False),
                            ("error__isnull", True),
                            ("output__isnull", True),
                            ("status", "cancelled"),
                        ),
                        _connector="OR",
                    ),
                ),
                name="run_columns_agree_with_its_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("key__isnull", False)),
                fields=("workflow_slug", "key"),
                name="run_key_is_unique_per_workflow",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowrun",
            trigger=pgtrigger.compiler.Trigger(
                name="run_status_moves_as_allowed",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                    declare="DECLARE _is_valid_transition BOOLEAN;",
                    func='SELECT CONCAT(OLD."status", \':\', NEW."status") = ANY(\'{started:completed,started:failed,started:cancelled,started:paused,paused:started,paused:cancelled,failed:started,cancelled:started}\'::text[]) INTO _is_valid_transition; IF (_is_valid_transition IS FALSE AND OLD."status" IS DISTINCT FROM NEW."status") THEN RAISE EXCEPTION \'pgtrigger: Invalid transition of field "status" from "%" to "%" on table %\', OLD."status", NEW."status", TG_TABLE_NAME; ELSE RETURN NEW; END IF;',
                    hash="75693f801c20456fc36faa7daa1d3151dd174663",
                    operation="UPDATE",
                    pgid="pgtrigger_run_status_moves_as_allowed_07545",
                    table="workflow_runs",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowrun",
            trigger=pgtrigger.compiler.Trigger(
                name="run_facts_are_read_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='RAISE EXCEPTION \'pgtrigger: Cannot update of "id", "workflow_slug", "version", "version_id", "input", "key", "parent_run_id", "has_caller_functions" rows from % table\', TG_TABLE_NAME;',
                    hash="d903666dcab41f13d262f09b46b1a968c09e2619",
                    operation='UPDATE OF "id", "workflow_slug", "version", "version_id", "input", "key", "parent_run_id", "has_caller_functions"',
                    pgid="pgtrigger_run_facts_are_read_only_e7e5e",
                    table="workflow_runs",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowrun",
            trigger=pgtrigger.compiler.Trigger(
                name="active_run_cannot_be_deleted",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.\"status\" IN ('started', 'paused'))",
                    func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;",
                    hash="59d344d640aa80b2976c6a01e4081f683842f29e",
                    operation="DELETE",
                    pgid="pgtrigger_active_run_cannot_be_deleted_f4edc",
                    table="workflow_runs",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="workflowrunevent",
            index=models.Index(fields=["run_id", "id"], name="workflow_events_by_run"),
        ),
        migrations.AddField(
            model_name="workflowstep",
            name="workflow",
            field=models.ForeignObject(
                from_fields=["workflow_slug"],
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="steps",
                to="pgflow_django.workflow",
                to_fields=["workflow_slug"],
            ),
        ),
        migrations.AddField(
            model_name="workflowstepdependency",
            name="dependency",
            field=models.ForeignObject(
                from_fields=["workflow_slug", "dep_slug"],
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="dependents",
                to="pgflow_django.workflowstep",
                to_fields=["workflow_slug", "step_slug"],
            ),
        ),
        migrations.AddField(
            model_name="workflowstepdependency",
            name="step",
            field=models.ForeignObject(
                from_fields=["workflow_slug", "step_slug"],
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="dependencies",
                to="pgflow_django.workflowstep",
                to_fields=["workflow_slug", "step_slug"],
            ),
        ),
        migrations.AddField(
            model_name="workflowstepstate",
            name="run",
            field=models.ForeignObject(
                from_fields=["run_id"],
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="step_states",
                to="pgflow_django.workflowrun",
                to_fields=["id"],
            ),
        ),
        migrations.AddField(
            model_name="workflowsteptask",
            name="step_state",
            field=models.ForeignObject(
                from_fields=["run_id", "step_slug"],
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="tasks",
                to="pgflow_django.workflowstepstate",
                to_fields=["run_id", "step_slug"],
            ),
        ),
        migrations.AddIndex(
            model_name="workflowtaskattempt",
            index=models.Index(
                fields=["run_id", "step_slug", "task_index"], name="workflow_attempts_by_task"
            ),
        ),
        migrations.AddIndex(
            model_name="workflowversion",
            index=models.Index(
                fields=["workflow_slug", "version"], name="workflow_versions_by_slug"
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowversion",
            trigger=pgtrigger.compiler.Trigger(
                name="version_is_read_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="de8469694546f5b36ae9fcecf105d4ab1ae03d1b",
                    operation="UPDATE",
                    pgid="pgtrigger_version_is_read_only_67f46",
                    table="workflow_versions",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowversion",
            trigger=pgtrigger.compiler.Trigger(
                name="used_version_cannot_be_deleted",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n        if exists (\n            select from workflow_runs r\n            where r.workflow_slug = old.workflow_slug and r.version_id = old.id\n        ) then\n            raise exception 'Version % of flow \"%\" has runs.', old.version, old.workflow_slug\n                using errcode = 'check_violation', constraint = 'used_version_cannot_be_deleted';\n        end if;\n        return old;\n    ",
                    hash="6bfd379eeae1632ebcdc2ed31cef23b2913fcb36",
                    operation="DELETE",
                    pgid="pgtrigger_used_version_cannot_be_deleted_937a2",
                    table="workflow_versions",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowversionstep",
            trigger=pgtrigger.compiler.Trigger(
                name="version_step_is_read_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="26d3ff09f51a09d660fe788662236f357132399e",
                    operation="UPDATE",
                    pgid="pgtrigger_version_step_is_read_only_a8869",
                    table="workflow_version_steps",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowversionstep",
            trigger=pgtrigger.compiler.Trigger(
                name="version_loses_no_step",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n        if exists (select from workflow_versions v where v.id = old.version_id) then\n            raise exception 'Step \"%\" belongs to a version, which never changes.', old.step_slug\n                using errcode = 'check_violation', constraint = 'version_loses_no_step';\n        end if;\n        return old;\n    ",
                    hash="8439dbac1c9d549e70b27edd2a6e71d11d8b3eb7",
                    operation="DELETE",
                    pgid="pgtrigger_version_loses_no_step_084f1",
                    table="workflow_version_steps",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("step_slug__regex", "^[a-zA-Z_][a-zA-Z0-9_]*$"),
                    django.db.models.lookups.LessThanOrEqual(
                        django.db.models.functions.text.Length("step_slug"), 128
                    ),
                    models.Q(("step_slug__in", ["run"]), _negated=True),
                ),
                name="step_slug_follows_the_slug_rule",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(("step_type__in", ["single", "map"])), name="step_type_is_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(("step_index__range", (0, 1999))), name="step_index_is_in_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(("deps_count__gte", 0)), name="step_deps_count_is_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("step_type", "map"), _negated=True),
                    ("deps_count__lte", 1),
                    _connector="OR",
                ),
                name="map_step_has_at_most_one_dependency",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(("initial_tasks__range", (1, 1000000))),
                name="step_initial_tasks_is_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(("max_attempts__range", (0, 1000))),
                name="step_max_attempts_is_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(("timeout__range", (1, 604800))), name="step_timeout_is_in_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(("base_delay__range", (0, 604800))),
                name="step_base_delay_is_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(("start_delay__range", (0, 604800))),
                name="step_start_delay_is_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(("function__regex", "^[a-zA-Z_][a-zA-Z0-9_.]{0,254}$")),
                name="step_function_follows_the_function_rule",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("queue__regex", "^[a-z_][a-z0-9_]{0,39}$"),
                    models.Q(("queue", "in_process"), _negated=True),
                ),
                name="step_queue_follows_the_queue_rule",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstep",
            constraint=models.UniqueConstraint(
                deferrable=django.db.models.constraints.Deferrable["DEFERRED"],
                fields=("workflow_slug", "step_index"),
                name="step_index_is_unique_within_a_workflow",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowstep",
            trigger=pgtrigger.compiler.Trigger(
                name="added_steps_make_a_version",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n    update workflows set version = version + 1\n    where workflow_slug = any(array(select distinct workflow_slug from new_rows));\n    return null;\n",
                    hash="f61c365c9aa768d3e2f3a38fe95d1db53d2aa164",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_added_steps_make_a_version_a8d38",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="workflow_steps",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowstep",
            trigger=pgtrigger.compiler.Trigger(
                name="changed_steps_make_a_version",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n        update workflows set version = version + 1\n        where workflow_slug = any(array(\n            select changed.step ->> 'workflow_slug' from (\n                select to_jsonb(n) - 'deps_count' as step from new_rows n\n                except\n                select to_jsonb(o) - 'deps_count' from old_rows o\n            ) changed\n        ));\n        return null;\n    ",
                    hash="e7558077933409bb7760650872278f834e928e0d",
                    level="STATEMENT",
                    operation="UPDATE",
                    pgid="pgtrigger_changed_steps_make_a_version_dfaee",
                    referencing="REFERENCING OLD TABLE AS old_rows  NEW TABLE AS new_rows ",
                    table="workflow_steps",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowstep",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_steps_make_a_version",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n    update workflows set version = version + 1\n    where workflow_slug = any(array(select distinct workflow_slug from old_rows));\n    return null;\n",
                    hash="3557dda2917c469e69506790871395abcfc5b857",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_removed_steps_make_a_version_24724",
                    referencing="REFERENCING OLD TABLE AS old_rows ",
                    table="workflow_steps",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowstep",
            trigger=pgtrigger.compiler.Trigger(
                name="deps_count_only_follows_edges",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (old.deps_count is distinct from new.deps_count)",
                    func="\n        if new.deps_count <> (\n            select count(*) from workflow_step_dependencies_def d\n            where d.workflow_slug = new.workflow_slug and d.step_slug = new.step_slug\n        ) then\n            raise exception 'deps_count of step \"%\" of flow \"%\" can''t be set to %: it is counted.',\n                new.step_slug, new.workflow_slug, new.deps_count\n                using errcode = 'check_violation', constraint = 'deps_count_agrees_with_edges';\n        end if;\n        return new;\n    ",
                    hash="496648d4365c2236d3a18eeafac75962ff1c35f3",
                    operation="UPDATE",
                    pgid="pgtrigger_deps_count_only_follows_edges_cda23",
                    table="workflow_steps",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowstep",
            trigger=pgtrigger.compiler.Trigger(
                name="step_key_is_read_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."workflow_slug" IS DISTINCT FROM (NEW."workflow_slug") OR OLD."step_slug" IS DISTINCT FROM (NEW."step_slug"))',
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="fcbc6b2fd82576649ce218b5f496ea6a5a726fd6",
                    operation="UPDATE",
                    pgid="pgtrigger_step_key_is_read_only_b8df6",
                    table="workflow_steps",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="workflowstepdependency",
            index=models.Index(fields=["workflow_slug", "step_slug"], name="dependencies_by_step"),
        ),
        migrations.AddConstraint(
            model_name="workflowstepdependency",
            constraint=models.CheckConstraint(
                condition=models.Q(("dep_slug", models.F("step_slug")), _negated=True),
                name="step_does_not_wait_for_itself",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowstepdependency",
            trigger=pgtrigger.compiler.Trigger(
                name="added_edges_are_followed",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n    perform pgflow._follow_edges(\n        array_agg(workflow_slug), array_agg(dep_slug), array_agg(step_slug), removed => false\n    )\n    from new_rows;\n    return null;\n",
                    hash="d4b58f26f768aaac376d6d02413c4672e2cc6a09",
                    level="STATEMENT",
                    operation="INSERT",
                    pgid="pgtrigger_added_edges_are_followed_a6cee",
                    referencing="REFERENCING NEW TABLE AS new_rows ",
                    table="workflow_step_dependencies_def",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowstepdependency",
            trigger=pgtrigger.compiler.Trigger(
                name="removed_edges_are_followed",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="\n    perform pgflow._follow_edges(\n        array_agg(workflow_slug), array_agg(dep_slug), array_agg(step_slug), removed => true\n    )\n    from old_rows;\n    return null;\n",
                    hash="c8f5127787fe3f1bd34d10a5e5e60f419c8a9d4a",
                    level="STATEMENT",
                    operation="DELETE",
                    pgid="pgtrigger_removed_edges_are_followed_b1c05",
                    referencing="REFERENCING OLD TABLE AS old_rows ",
                    table="workflow_step_dependencies_def",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowstepdependency",
            trigger=pgtrigger.compiler.Trigger(
                name="dependency_is_read_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="b42562bf7cd3fc6ef48fad04f7abe60426133106",
                    operation="UPDATE",
                    pgid="pgtrigger_dependency_is_read_only_41ed4",
                    table="workflow_step_dependencies_def",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowstepstate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("remaining_deps__gte", 0),
                    models.Q(
                        ("remaining_tasks__isnull", True),
                        models.Q(
                            ("initial_tasks__isnull", False),
                            ("remaining_tasks__gte", 0),
                            ("remaining_tasks__lte", models.F("initial_tasks")),
                        ),
                        _connector="OR",
                    ),
                    models.Q(
                        ("status__in", ["created", "failed", "skipped", "cancelled"]),
                        models.Q(
                            ("remaining_deps", 0),
                            ("remaining_tasks__gt", 0),
                            ("remaining_tasks__isnull", False),
                            ("started_at__isnull", False),
                            ("status", "started"),
                        ),
                        models.Q(
                            ("remaining_deps", 0),
                            ("remaining_tasks", 0),
                            ("remaining_tasks__isnull", False),
                            ("status", "completed"),
                        ),
                        _connector="OR",
                    ),
                ),
                name="step_counters_agree_with_its_status",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowstepstate",
            trigger=pgtrigger.compiler.Trigger(
                name="step_status_moves_as_allowed",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."status" IS DISTINCT FROM (NEW."status"))',
                    declare="DECLARE _is_valid_transition BOOLEAN;",
                    func='SELECT CONCAT(OLD."status", \':\', NEW."status") = ANY(\'{created:started,created:completed,created:failed,created:skipped,created:cancelled,started:completed,started:failed,started:skipped,started:cancelled,failed:created,cancelled:created,failed:completed,failed:skipped}\'::text[]) INTO _is_valid_transition; IF (_is_valid_transition IS FALSE AND OLD."status" IS DISTINCT FROM NEW."status") THEN RAISE EXCEPTION \'pgtrigger: Invalid transition of field "status" from "%" to "%" on table %\', OLD."status", NEW."status", TG_TABLE_NAME; ELSE RETURN NEW; END IF;',
                    hash="72347404ef4415a5114a3dbe4092e3a3f2c7b027",
                    operation="UPDATE",
                    pgid="pgtrigger_step_status_moves_as_allowed_1fa32",
                    table="workflow_step_states",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowsteptask",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("attempts_count__gte", 0),
                    ("task_index__gte", 0),
                    models.Q(
                        models.Q(
                            ("claim_id__isnull", True),
                            ("output__isnull", True),
                            ("status__in", ["queued", "failed", "skipped", "cancelled"]),
                        ),
                        models.Q(
                            ("claim_id__isnull", False),
                            ("output__isnull", True),
                            ("status", "started"),
                        ),
                        models.Q(
                            ("claim_id__isnull", True),
                            ("output__isnull", False),
                            ("status", "completed"),
                        ),
                        _connector="OR",
                    ),
                ),
                name="task_columns_agree_with_its_status",
            ),
        ),
        _sql("foreign_keys"),
        _sql("storage"),
        _sql("types"),
        _sql("views", "drop view if exists pgflow.step_outputs"),
        operations.InstallFunctions("0001"),
        operations.CreateQueues(["default", "in_process"]),
    ]
