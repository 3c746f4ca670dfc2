"""Rows that never change may be written once more as they are: ``loaddata`` does so."""

from __future__ import annotations

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("pgflow_django", "0006_descriptions"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="workflowrun",
            name="run_facts_are_read_only",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="workflowstepdependency",
            name="dependency_is_read_only",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="workflowversion",
            name="version_is_read_only",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="workflowversionstep",
            name="version_step_is_read_only",
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowrun",
            trigger=pgtrigger.compiler.Trigger(
                name="run_facts_are_read_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (row(old.id, old.workflow_slug, old.version, old.version_id, old.input, old.key, old.parent_run_id, old.has_caller_functions) is distinct from row(new.id, new.workflow_slug, new.version, new.version_id, new.input, new.key, new.parent_run_id, new.has_caller_functions))",
                    func='RAISE EXCEPTION \'pgtrigger: Cannot update of "id", "workflow_slug", "version", "version_id", "input", "key", "parent_run_id", "has_caller_functions" rows from % table\', TG_TABLE_NAME;',
                    hash="0592dda3616b7274e445450a923efc5652367c9b",
                    operation='UPDATE OF "id", "workflow_slug", "version", "version_id", "input", "key", "parent_run_id", "has_caller_functions"',
                    pgid="pgtrigger_run_facts_are_read_only_e7e5e",
                    table="workflow_runs",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowstepdependency",
            trigger=pgtrigger.compiler.Trigger(
                name="dependency_is_read_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (old.* is distinct from new.*)",
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="33329aae102ccd516d394ada07c8263faff44b06",
                    operation="UPDATE",
                    pgid="pgtrigger_dependency_is_read_only_41ed4",
                    table="workflow_step_dependencies_def",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="workflowversion",
            trigger=pgtrigger.compiler.Trigger(
                name="version_is_read_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (old.* is distinct from new.*)",
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="e2cc6b9e6a6cd0df3676ef6304297156e3774ea0",
                    operation="UPDATE",
                    pgid="pgtrigger_version_is_read_only_67f46",
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
                    condition="WHEN (old.* is distinct from new.*)",
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;",
                    hash="8ba666675a5a83bfd6699db441b7e421747cd56a",
                    operation="UPDATE",
                    pgid="pgtrigger_version_step_is_read_only_a8869",
                    table="workflow_version_steps",
                    when="BEFORE",
                ),
            ),
        ),
    ]
