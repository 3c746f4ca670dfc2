-- Gives the tasks of a step that are not done, or one of them, a verdict (see decide_step), and makes
-- them where the step has not begun and is completed. Returns how many there were. What runs just now
-- leaves an attempt. The run's row is locked by the caller, and no message is left of these tasks.
create or replace function pgflow._decide_tasks(run workflow_runs, slug text, index integer, verdict text, output jsonb)
returns integer
language plpgsql volatile
as $$
declare
    v_run_id uuid := (_decide_tasks.run).id;
    v_is_begun boolean;
    v_outputs jsonb;
    v_tasks integer;
    v_now timestamptz := clock_timestamp();  -- tasks may have been claimed while the caller waited
begin
    select
        s.initial_tasks is not null,
        case
            when _decide_tasks.verdict = 'skipped' then null
            when _decide_tasks.index is null and vs.step_type = 'map' then _decide_tasks.output
            else jsonb_build_array(_decide_tasks.output)
        end
    into v_is_begun, v_outputs
    from workflow_step_states s
    join workflow_version_steps vs on vs.version_id = (_decide_tasks.run).version_id and vs.step_slug = s.step_slug
    where s.run_id = v_run_id and s.step_slug = _decide_tasks.slug;

    if v_is_begun then
        insert into workflow_task_attempts (
            run_id, step_slug, task_index, round, attempt, code, error_type, error_message, traceback, worker,
            started_at, ended_at
        )
        select
            t.run_id, t.step_slug, t.task_index, (_decide_tasks.run).round, t.attempts_count, 'cancelled', 'Cancelled',
            format('cut off: the task was %s by hand', _decide_tasks.verdict), '', coalesce(t.worker, ''),
            t.started_at, v_now
        from workflow_step_tasks t
        where
            t.run_id = v_run_id and t.step_slug = _decide_tasks.slug and t.status = 'started'
            and t.task_index = coalesce(_decide_tasks.index, t.task_index);
        update workflow_step_tasks t
        set
            status = _decide_tasks.verdict,
            output = v_outputs->(case when _decide_tasks.index is null then t.task_index else 0 end),
            claim_id = null, worker = null, ended_at = v_now,
            started_at = coalesce(t.started_at, case _decide_tasks.verdict when 'completed' then v_now end)
        where
            t.run_id = v_run_id and t.step_slug = _decide_tasks.slug
            and t.task_index = coalesce(_decide_tasks.index, t.task_index)
            and t.status not in ('completed', 'skipped');
        get diagnostics v_tasks = row_count;
        -- Nobody waits for their next attempts any more.
        update workflow_task_attempts a set retry_at = v_now
        where
            a.run_id = v_run_id and a.step_slug = _decide_tasks.slug
            and a.task_index = coalesce(_decide_tasks.index, a.task_index)
            and a.round = (_decide_tasks.run).round and a.retry_at > v_now;
    else
        insert into workflow_step_tasks (
            run_id, step_slug, task_index, status, output, queued_at, started_at, ended_at
        )
        select v_run_id, _decide_tasks.slug, e.ord - 1, 'completed', e.output, v_now, v_now, v_now
        from jsonb_array_elements(v_outputs) with ordinality as e (output, ord);
        get diagnostics v_tasks = row_count;
    end if;
    return v_tasks;
end
$$;
