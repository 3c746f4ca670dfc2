-- Takes completed steps off a run's count; the last one completes the run.
create or replace function pgflow._count_down(run uuid, steps integer)
returns void
language plpgsql volatile
as $$
declare
    v_run record;
begin
    update workflow_runs r
    set
        remaining_steps = r.remaining_steps - _count_down.steps,
        status = case when r.remaining_steps = _count_down.steps then 'completed' else r.status end,
        output = case when r.remaining_steps = _count_down.steps then pgflow._run_output(r.id, r.version_id) end,
        ended_at = case when r.remaining_steps = _count_down.steps then clock_timestamp() end
    -- Not `status = 'started'`: the partial index on it would tempt the planner to scan all runs.
    where r.id = _count_down.run and r.ended_at is null
    returning r.workflow_slug, r.status into v_run;
    if v_run.status = 'completed' and current_setting('pgflow.told', true) <> '' then
        perform pgflow._tell(jsonb_build_array(jsonb_build_object(
            'kind', 'run_ended', 'run_id', _count_down.run, 'workflow_slug', v_run.workflow_slug, 'status', 'completed'
        )));
    end if;
end
$$;
