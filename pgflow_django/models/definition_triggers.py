"""Triggers of the definition tables: versions, derived counts, and a check that nobody can bypass.

How they work together:

* Whatever changes flow, steps or edges counts the flow's ``version`` up, once per statement,
  because runs are pinned to versions and one transaction may start runs between two changes.
* Every new version queues ``definition_is_sound``, which looks at the flow at the end of the
  transaction: once, for the last version.
* ``deps_count`` follows the edges (``pgflow._follow_edges``). ``add_step`` writes the right count
  with the step, so that the edges behind it complete the step's version and make no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import pgtrigger

from pgflow_django.definitions.options import FLOW_OPTIONS

_COUNT_UP = """
    update workflows set version = version + 1
    where workflow_slug = any(array(select distinct workflow_slug from {rows}));
    return null;
"""


def _list_options(row: str) -> str:
    """The options of a flow, as columns of ``row``."""
    columns = ", ".join(f"{row}.{name}" for name in FLOW_OPTIONS)
    return fill(f"({columns})", 88, subsequent_indent=" " * 16)


def refuse_changes(name: str, columns: Sequence[str] = ()) -> pgtrigger.Protect:
    """Refuse to change rows, or these columns of them; as it is one may be written once more.

    That is what ``loaddata`` does with the rows of a fixture that are there.
    """
    if not columns:
        is_changed = pgtrigger.Condition("old.* is distinct from new.*")
        return pgtrigger.Protect(name=name, operation=pgtrigger.Update, condition=is_changed)
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("old", "new"))
    return pgtrigger.Protect(
        name=name,
        operation=pgtrigger.UpdateOf(*columns),
        condition=pgtrigger.Condition(f"row({old}) is distinct from row({new})"),
    )


NUMBER_NEW_FLOW = pgtrigger.Trigger(
    name="new_flow_continues_version_numbers",
    operation=pgtrigger.Insert,
    when=pgtrigger.Before,
    func="""
        new.version := greatest(new.version, 1 + (
            select max(v.version) from workflow_versions v
            where v.workflow_slug = new.workflow_slug
        ));
        return new;
    """,
)

NUMBER_CHANGED_FLOW = pgtrigger.Trigger(
    name="changed_flow_gets_a_new_version",
    operation=pgtrigger.Update,
    when=pgtrigger.Before,
    func="""
        if new.version <> old.version then
            if new.version <= (
                select max(v.version) from workflow_versions v
                where v.workflow_slug = new.workflow_slug
            ) then
                raise exception 'Flow "%" has had runs of version % already.',
                    new.workflow_slug, new.version
                    using errcode = 'check_violation', constraint = 'version_is_not_used_again';
            end if;
        elsif
            {new}
            is distinct from
            {old}
        then
            new.version := old.version + 1;
        end if;
        return new;
    """.format(new=_list_options("new"), old=_list_options("old")),
)

# Advice, not a fence: a start that has not committed is not seen, and its run, which is pinned to
# a version of its own, does not mind.
KEEP_ACTIVE_FLOW = pgtrigger.Trigger(
    name="active_flow_cannot_be_deleted",
    operation=pgtrigger.Delete,
    when=pgtrigger.Before,
    func="""
        if exists (
            select from workflow_runs r
            where r.workflow_slug = old.workflow_slug and r.status in ('started', 'paused')
        ) then
            raise exception 'Flow "%" has active runs. Cancel them before you delete it.',
                old.workflow_slug
                using errcode = 'check_violation', constraint = 'active_flow_cannot_be_deleted';
        end if;
        return old;
    """,
)

# A start that has not committed may have pinned any version up to the last. So that number is kept,
# without steps, and a new flow of this name numbers on; prune_rows deletes it when it is old.
KEEP_LAST_NUMBER = pgtrigger.Trigger(
    name="deleted_flow_leaves_its_last_number",
    operation=pgtrigger.Delete,
    when=pgtrigger.After,
    func="""
        insert into workflow_versions (workflow_slug, version, queues, steps_count, has_root_map)
        values (old.workflow_slug, old.version, '{}', 0, false);
        return null;
    """,
)

DELETE_DRAFT = pgtrigger.Trigger(
    name="deleted_flow_takes_its_draft_along",
    operation=pgtrigger.Delete,
    when=pgtrigger.After,
    func="""
        delete from workflow_revisions where draft_id = old.workflow_slug;
        delete from workflow_drafts where workflow_slug = old.workflow_slug;
        return null;
    """,
)

COUNT_ADDED_STEPS = pgtrigger.Trigger(
    name="added_steps_make_a_version",
    level=pgtrigger.Statement,
    operation=pgtrigger.Insert,
    when=pgtrigger.After,
    referencing=pgtrigger.Referencing(new="new_rows"),
    func=_COUNT_UP.format(rows="new_rows"),
)

COUNT_REMOVED_STEPS = pgtrigger.Trigger(
    name="removed_steps_make_a_version",
    level=pgtrigger.Statement,
    operation=pgtrigger.Delete,
    when=pgtrigger.After,
    referencing=pgtrigger.Referencing(old="old_rows"),
    func=_COUNT_UP.format(rows="old_rows"),
)

# deps_count is no news: it follows the edges. (Compared as sets, so that no plan is quadratic.)
COUNT_CHANGED_STEPS = pgtrigger.Trigger(
    name="changed_steps_make_a_version",
    level=pgtrigger.Statement,
    operation=pgtrigger.Update,
    when=pgtrigger.After,
    referencing=pgtrigger.Referencing(old="old_rows", new="new_rows"),
    func="""
        update workflows set version = version + 1
        where workflow_slug = any(array(
            select changed.step ->> 'workflow_slug' from (
                select to_jsonb(n) - 'deps_count' as step from new_rows n
                except
                select to_jsonb(o) - 'deps_count' from old_rows o
            ) changed
        ));
        return null;
    """,
)

KEEP_DEPS_COUNT = pgtrigger.Trigger(
    name="deps_count_only_follows_edges",
    operation=pgtrigger.Update,
    when=pgtrigger.Before,
    condition=pgtrigger.Condition("old.deps_count is distinct from new.deps_count"),
    func="""
        if new.deps_count <> (
            select count(*) from workflow_step_dependencies_def d
            where d.workflow_slug = new.workflow_slug and d.step_slug = new.step_slug
        ) then
            raise exception 'deps_count of step "%" of flow "%" can''t be set to %: it is counted.',
                new.step_slug, new.workflow_slug, new.deps_count
                using errcode = 'check_violation', constraint = 'deps_count_agrees_with_edges';
        end if;
        return new;
    """,
)

_FOLLOW_EDGES = """
    perform pgflow._follow_edges(
        array_agg(workflow_slug), array_agg(dep_slug), array_agg(step_slug), removed => {removed}
    )
    from {rows};
    return null;
"""

FOLLOW_ADDED_EDGES = pgtrigger.Trigger(
    name="added_edges_are_followed",
    level=pgtrigger.Statement,
    operation=pgtrigger.Insert,
    when=pgtrigger.After,
    referencing=pgtrigger.Referencing(new="new_rows"),
    func=_FOLLOW_EDGES.format(rows="new_rows", removed="false"),
)

FOLLOW_REMOVED_EDGES = pgtrigger.Trigger(
    name="removed_edges_are_followed",
    level=pgtrigger.Statement,
    operation=pgtrigger.Delete,
    when=pgtrigger.After,
    referencing=pgtrigger.Referencing(old="old_rows"),
    func=_FOLLOW_EDGES.format(rows="old_rows", removed="true"),
)

CHECK_DEFINITION = pgtrigger.Trigger(
    name="definition_is_sound",
    operation=pgtrigger.Update,
    when=pgtrigger.After,
    timing=pgtrigger.Deferred,
    condition=pgtrigger.Condition("old.version is distinct from new.version"),
    func="""
        if exists (
            select from workflows w
            where w.workflow_slug = new.workflow_slug and w.version = new.version
        ) then  -- otherwise it was changed again, and that change has its own check
            perform pgflow._check_definition(new.workflow_slug);
        end if;
        return null;
    """,
)

KEEP_USED_VERSION = pgtrigger.Trigger(
    name="used_version_cannot_be_deleted",
    operation=pgtrigger.Delete,
    when=pgtrigger.Before,
    func="""
        if exists (
            select from workflow_runs r
            where r.workflow_slug = old.workflow_slug and r.version_id = old.id
        ) then
            raise exception 'Version % of flow "%" has runs.', old.version, old.workflow_slug
                using errcode = 'check_violation', constraint = 'used_version_cannot_be_deleted';
        end if;
        return old;
    """,
)

KEEP_VERSION_STEP = pgtrigger.Trigger(
    name="version_loses_no_step",
    operation=pgtrigger.Delete,
    when=pgtrigger.Before,
    func="""
        if exists (select from workflow_versions v where v.id = old.version_id) then
            raise exception 'Step "%" belongs to a version, which never changes.', old.step_slug
                using errcode = 'check_violation', constraint = 'version_loses_no_step';
        end if;
        return old;
    """,
)
