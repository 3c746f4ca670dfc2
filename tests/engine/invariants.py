"""What must hold of every run that has ended, and of a database in which nothing runs."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from tests.engine.database import messages, query

_LIVE_STEPS = """
    select s.run_id, s.step_slug, s.status
    from workflow_step_states s join workflow_runs r on r.id = s.run_id
    where r.status in ('completed', 'failed', 'cancelled') and s.status in ('created', 'started')
"""
_LIVE_TASKS = """
    select t.run_id, t.step_slug, t.task_index, t.status
    from workflow_step_tasks t join workflow_step_states s using (run_id, step_slug)
    where s.status not in ('created', 'started') and t.status in ('queued', 'started')
"""
_WRONG_REMAINING_STEPS = """
    select r.id, r.status, r.remaining_steps, found.count
    from workflow_runs r
    cross join lateral (
        select count(*) from workflow_step_states s
        where s.run_id = r.id and s.status not in ('completed', 'skipped')
    ) found
    where r.remaining_steps <> found.count
"""
_WRONG_REMAINING_TASKS = """
    select s.run_id, s.step_slug, s.status, s.remaining_tasks, s.initial_tasks, left_over, total
    from workflow_step_states s
    cross join lateral (
        select
            count(*) as total,
            count(*) filter (where t.status not in ('completed', 'skipped')) as left_over
        from workflow_step_tasks t where t.run_id = s.run_id and t.step_slug = s.step_slug
    ) found
    where (s.initial_tasks is null and total > 0)
    or (s.initial_tasks is not null and s.initial_tasks <> total)
    or (s.initial_tasks is not null and s.remaining_tasks <> left_over)
"""
_WRONG_REMAINING_DEPS = """
    select s.run_id, s.step_slug, s.status, s.remaining_deps, found.count
    from workflow_step_states s
    join workflow_runs r on r.id = s.run_id
    join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = s.step_slug
    cross join lateral (
        select count(*) from workflow_step_states d
        where d.run_id = s.run_id and d.step_slug = any(vs.depends_on)
        and d.status not in ('completed', 'skipped')
    ) found
    where s.remaining_deps <> found.count
    and s.status not in ('completed', 'skipped')  -- by hand, whatever it waited for
"""
_WRONG_COMPLETED_RUNS = """
    select r.id, r.status from workflow_runs r
    where r.status = 'completed' and exists (
        select from workflow_step_states s
        where s.run_id = r.id and s.status not in ('completed', 'skipped')
    )
"""
_WRONG_FAILED_RUNS = """
    select r.id from workflow_runs r
    where r.status = 'failed' and r.error->>'step_slug' is not null and not exists (
        select from workflow_step_states s
        where s.run_id = r.id and s.step_slug = r.error->>'step_slug' and s.status = 'failed'
    )
"""
_WRONG_TIMES = """
    select run_id, step_slug, task_index, status, queued_at, started_at, ended_at
    from workflow_step_tasks
    where (ended_at is null) <> (status in ('queued', 'started'))
    or ended_at < started_at or started_at < queued_at
    or (status in ('started', 'completed') and started_at is null)
"""
_WRONG_OWN_OUTPUTS = """
    select r.id, r.output, expected.output
    from workflow_runs r
    cross join lateral (
        select coalesce(jsonb_object_agg(vs.step_slug, case vs.step_type
            when 'single' then (
                select t.output from workflow_step_tasks t
                where t.run_id = r.id and t.step_slug = vs.step_slug
            )
            else (
                select coalesce(jsonb_agg(t.output order by t.task_index), '[]')
                from workflow_step_tasks t where t.run_id = r.id and t.step_slug = vs.step_slug
            )
        end), '{}') as output
        from workflow_version_steps vs
        join workflow_step_states s on s.run_id = r.id and s.step_slug = vs.step_slug
        where vs.version_id = r.version_id and vs.dependents = '{}' and s.status <> 'skipped'
    ) expected
    where r.status = 'completed' and r.output <> expected.output
"""

_RULES = {
    "an ended run has no live step": _LIVE_STEPS,
    "an ended step has no live task": _LIVE_TASKS,
    "remaining_steps counts the steps that are not done": _WRONG_REMAINING_STEPS,
    "remaining_tasks counts the tasks that are not done": _WRONG_REMAINING_TASKS,
    "remaining_deps counts the dependencies that are not done": _WRONG_REMAINING_DEPS,
    "a completed run has only completed steps": _WRONG_COMPLETED_RUNS,
    "a failed run has the failed step that its error names": _WRONG_FAILED_RUNS,
    "times of a task are in order": _WRONG_TIMES,
    "a run's output is that of its leaf steps": _WRONG_OWN_OUTPUTS,
}


def check_consistency() -> None:
    """Hold every row against every other; runs may be live."""
    for rule, sql in _RULES.items():
        broken = query(sql)
        assert not broken, f"broken: {rule}: {broken[:5]}"
    ended = {
        str(run_id)
        for (run_id,) in query("select id from workflow_runs where ended_at is not null")
    }
    check_messages()
    left = [message for message in messages() if message["run_id"] in ended]
    assert not left, f"broken: an ended run has no messages: {left[:5]}"


def check_messages() -> None:
    """Each queued task lies in one message, none in two, and messages name queued tasks only.

    Those of a paused run lie in none, but for what a person has sent to be tried first.
    """
    covered = Counter(
        (message["run_id"], message["step_slug"], index)
        for message in messages()
        for index in range(message["task_index"], message["task_index"] + message["count"])
    )
    queued = query(
        "select t.run_id::text, t.step_slug, t.task_index, r.status <> 'paused' "
        "from workflow_step_tasks t join workflow_runs r on r.id = t.run_id "
        "where t.status = 'queued'"
    )
    known = {(run, step, index) for run, step, index, _ in queued}
    due = {(run, step, index) for run, step, index, is_due in queued if is_due}
    assert set(covered) <= known, (set(covered) - known, "a message and not queued")
    assert due <= set(covered), (due - set(covered), "queued and no message")
    twice = [task for task, count in covered.items() if count > 1]
    assert not twice, f"queued tasks in several messages: {twice[:5]}"


def check_all_ended() -> None:
    """Every run has ended, consistently, and left nothing anywhere."""
    check_consistency()
    live = query("select id, status from workflow_runs where ended_at is null")
    assert not live, f"runs that have not ended: {live[:5]}"
    assert not messages()
    assert not query("select * from workflow_claims"), "a claim is left"
    assert not query("select * from workflow_workers"), "a worker is left"


def check_ended(run_id: UUID | str) -> None:
    """This run has ended and everything is consistent."""
    assert query("select 1 from workflow_runs where id = %s and ended_at is not null", run_id)
    check_consistency()
