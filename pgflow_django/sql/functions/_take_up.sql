-- Takes up a run again that has failed or was cancelled, as far as its rows go: what had completed or
-- was skipped stays so, the rest has all its attempts again, in a round of their own, and waits as at
-- a first start, for _start_ready. `new_owner` is the process that will run it, null for any worker;
-- `hold` leaves it paused, `at` is the moment. The run's row is locked by the caller. Returns its row.
create or replace function pgflow._take_up(
    run workflow_runs, new_owner bigint, hold boolean, action_by text, at timestamptz
)
returns workflow_runs
language plpgsql volatile
as $$
declare
    v_run workflow_runs := _take_up.run;
begin
    update workflow_runs r
    set status = 'started', error = null, ended_at = null, owner_id = _take_up.new_owner, round = r.round + 1
    where r.id = v_run.id;
    if current_setting('pgflow.told', true) <> '' then
        perform pgflow._tell(jsonb_build_array(jsonb_build_object(
            'kind', 'run_started', 'run_id', v_run.id, 'workflow_slug', v_run.workflow_slug, 'retried', true
        )));
    end if;
    perform pgflow._note_action(
        v_run.id, 'retried', format('taken up again; it was %s', v_run.status), _take_up.action_by, '',
        at => _take_up.at
    );
    if _take_up.hold then
        update workflow_runs r set status = 'paused' where r.id = v_run.id;
        perform pgflow._note_action(v_run.id, 'paused', 'held as it was taken up again', _take_up.action_by, '');
    end if;

    update workflow_step_tasks t
    set status = 'queued', attempts_count = 0, error = null, queued_at = _take_up.at, started_at = null, ended_at = null
    from workflow_step_states s
    where
        s.run_id = v_run.id and s.status in ('failed', 'cancelled')  -- not one that was skipped since
        and t.run_id = s.run_id and t.step_slug = s.step_slug and t.status in ('failed', 'cancelled');
    update workflow_step_states s
    set
        status = 'created', started_at = null, ended_at = null, remaining_tasks = null,
        remaining_deps = (
            select count(*)
            from workflow_version_steps vs
            join workflow_step_states d on d.run_id = s.run_id and d.step_slug = any(vs.depends_on)
            where
                vs.version_id = v_run.version_id and vs.step_slug = s.step_slug
                and d.status not in ('completed', 'skipped')
        )
    where s.run_id = v_run.id and s.status in ('failed', 'cancelled', 'created');
    update workflow_runs r
    set remaining_steps = (
        select count(*) from workflow_step_states s
        where s.run_id = r.id and s.status not in ('completed', 'skipped')
    )
    where r.id = v_run.id
    returning * into v_run;
    return v_run;
end
$$;
