-- Ends one failed attempt; 1 if it counted, 0 where the claim no longer covers the task. `alone`
-- sends the task back so that it is tried by itself. The run's row is locked by the caller.
create or replace function pgflow._fail_task(
    run uuid, slug text, index integer, claim bigint, permanent boolean, delay double precision,
    task_error jsonb, alone boolean default false
)
returns integer
language plpgsql volatile
as $$
declare
    v_task workflow_step_tasks;
    v_step workflow_version_steps;
    v_error jsonb;
    v_is_last boolean;
    v_retry_at timestamptz;
begin
    select * into v_task from workflow_step_tasks t
    where
        t.run_id = _fail_task.run and t.step_slug = _fail_task.slug and t.task_index = _fail_task.index
        and t.claim_id = _fail_task.claim and t.status = 'started'
    for update;
    if not found then
        return 0;
    end if;
    select vs.* into v_step
    from workflow_runs r
    join workflow_version_steps vs on vs.version_id = r.version_id and vs.step_slug = _fail_task.slug
    where r.id = _fail_task.run;

    v_is_last := coalesce(_fail_task.permanent, false) or v_task.attempts_count >= v_step.max_attempts;
    v_error := _fail_task.task_error || jsonb_build_object(
        'step_slug', _fail_task.slug, 'task_index', _fail_task.index, 'attempt', v_task.attempts_count
    );
    if not v_is_last then
        v_retry_at := clock_timestamp() + make_interval(secs => coalesce(
            _fail_task.delay, pgflow.calculate_retry_delay(v_step.base_delay, v_task.attempts_count)
        ));
    end if;

    insert into workflow_task_attempts (
        run_id, step_slug, task_index, round, attempt, code, error_type, error_message, traceback, worker,
        started_at, ended_at, retry_at, details
    ) values (
        _fail_task.run, _fail_task.slug, _fail_task.index,
        (select r.round from workflow_runs r where r.id = _fail_task.run), v_task.attempts_count, v_error->>'code',
        v_error->>'error_type', v_error->>'error_message', coalesce(v_error->>'traceback', ''),
        coalesce(v_task.worker, ''), v_task.started_at, clock_timestamp(), v_retry_at,
        case when v_error ? 'problems' then jsonb_build_object('problems', v_error->'problems') end
    );
    if current_setting('pgflow.told', true) <> '' then
        perform pgflow._tell(jsonb_build_array(jsonb_build_object(
            'kind', 'attempt_failed', 'run_id', r.id, 'workflow_slug', r.workflow_slug,
            'step_slug', _fail_task.slug, 'task_index', _fail_task.index, 'attempt', v_task.attempts_count,
            'will_retry', not v_is_last, 'retry_at', v_retry_at, 'code', v_error->'code',
            'error_type', v_error->'error_type', 'error_message', v_error->'error_message'
        )))
        from workflow_runs r where r.id = _fail_task.run;
    end if;
    if not v_is_last then
        perform pgflow._requeue_task(v_task, v_step, v_retry_at, 0, _fail_task.alone, v_error);
        return 1;
    end if;

    update workflow_step_tasks t
    set status = 'failed', claim_id = null, error = v_error, ended_at = clock_timestamp()
    where t.run_id = v_task.run_id and t.step_slug = v_task.step_slug and t.task_index = v_task.task_index;
    perform pgflow._end_run(_fail_task.run, 'failed', _fail_task.slug, v_error);
    return 1;
end
$$;
