-- Ends a run as failed or cancelled: its messages, tasks and steps end with it, so nothing stays
-- queued or started. `failed_step` (null when cancelled) is the one that failed.
--
-- Takes the run's row in the strongest mode first: whoever settles or starts tasks of a run holds
-- it in a weaker one, so nothing is added meanwhile. Messages go before tasks, in the order in
-- which a claim locks them.
create or replace function pgflow._end_run(run uuid, end_status text, failed_step text, run_error jsonb)
returns void
language plpgsql volatile
as $$
declare
    v_run workflow_runs;
    v_now timestamptz;
begin
    select * into v_run from workflow_runs r where r.id = _end_run.run for update;
    if v_run.status not in ('started', 'paused') then
        return;
    end if;

    perform pgflow._withdraw_messages(v_run);
    v_now := clock_timestamp();  -- only now: tasks may have been claimed while this waited
    insert into workflow_task_attempts (
        run_id, step_slug, task_index, round, attempt, code, error_type, error_message, traceback, worker,
        started_at, ended_at
    )
    select
        t.run_id, t.step_slug, t.task_index, v_run.round, t.attempts_count, 'cancelled', 'Cancelled',
        format('cut off: the run was %s', _end_run.end_status), '', coalesce(t.worker, ''), t.started_at, v_now
    from workflow_step_tasks t
    where t.run_id = v_run.id and t.status = 'started';
    update workflow_step_tasks t
    set status = 'cancelled', claim_id = null, ended_at = v_now
    where t.run_id = v_run.id and t.status in ('queued', 'started');

    update workflow_step_states s
    set status = case when s.step_slug = _end_run.failed_step then 'failed' else 'cancelled' end, ended_at = v_now
    where s.run_id = v_run.id and s.status in ('created', 'started');

    update workflow_runs r
    set status = _end_run.end_status, error = _end_run.run_error, ended_at = v_now
    where r.id = v_run.id;

    if current_setting('pgflow.told', true) <> '' then
        if _end_run.failed_step is not null then
            perform pgflow._tell(jsonb_build_array(jsonb_build_object(
                'kind', 'step_failed', 'run_id', v_run.id, 'workflow_slug', v_run.workflow_slug,
                'step_slug', _end_run.failed_step, 'error', _end_run.run_error - 'traceback'
            )));
        end if;
        perform pgflow._tell(jsonb_build_array(jsonb_build_object(
            'kind', 'run_ended', 'run_id', v_run.id, 'workflow_slug', v_run.workflow_slug, 'status', _end_run.end_status
        )));
    end if;
end
$$;
