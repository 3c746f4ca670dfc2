"""A witness: a trigger, for some tests only, that writes down every move of every task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.engine.database import query

_EDGES = {
    ("", "completed"),  # given before its step began, or taken over by a rerun
    ("", "skipped"),
    ("queued", "started"),
    ("queued", "completed"),  # by hand
    ("queued", "skipped"),
    ("queued", "cancelled"),
    ("started", "completed"),
    ("started", "failed"),
    ("started", "queued"),
    ("started", "skipped"),
    ("started", "cancelled"),
    ("failed", "queued"),
    ("cancelled", "queued"),
}

_CREATE = """
    create table engine_audit (
        run_id uuid, step_slug text, task_index integer, old text, new text
    );
    create function engine_audit() returns trigger language plpgsql as $$
    begin
        if tg_op = 'INSERT' then
            insert into engine_audit
            values (new.run_id, new.step_slug, new.task_index, '', new.status);
            return null;
        end if;
        if old.status = 'completed' and (new.status, new.output) is distinct from
            (old.status, old.output) then
            raise 'a completed task changed: %', old;
        end if;
        if old.status <> new.status then
            insert into engine_audit
            values (old.run_id, old.step_slug, old.task_index, old.status, new.status);
        end if;
        return null;
    end $$;
    create trigger engine_audit after update on workflow_step_tasks
    for each row execute function engine_audit();
    create trigger engine_audit_of_new after insert on workflow_step_tasks
    for each row when (new.status in ('completed', 'skipped')) execute function engine_audit();
"""
_DROP = """
    drop trigger if exists engine_audit on workflow_step_tasks;
    drop trigger if exists engine_audit_of_new on workflow_step_tasks;
    drop function if exists engine_audit;
    drop table if exists engine_audit;
"""


@contextmanager
def audited() -> Iterator[None]:
    """Watch the tasks within, and hold every move of theirs against the edges that there are."""
    query(_DROP)
    query(_CREATE)
    try:
        yield
        check_audit()
    finally:
        query(_DROP)


def check_audit() -> None:
    """No move that may not be, and one accepted completion for each completed task."""
    moves = set(query("select distinct old, new from engine_audit"))
    assert moves <= _EDGES, moves - _EDGES
    wrong = query("""
        select t.run_id, t.step_slug, t.task_index, t.status, count(a.run_id)
        from workflow_step_tasks t
        left join engine_audit a on a.run_id = t.run_id and a.step_slug = t.step_slug
            and a.task_index = t.task_index and a.new = 'completed'
        group by t.run_id, t.step_slug, t.task_index, t.status
        having count(a.run_id) <> case t.status when 'completed' then 1 else 0 end
    """)
    assert not wrong, f"not one accepted completion per completed task: {wrong[:5]}"
