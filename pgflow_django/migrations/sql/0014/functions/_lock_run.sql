-- Locks a run's row for whoever acts upon the run, and gives it: nothing of the run is settled or sent
-- meanwhile. Null where there is no such run, or where it is being deleted, in slices.
create or replace function pgflow._lock_run(run uuid)
returns workflow_runs
language plpgsql volatile
as $$
declare
    v_run workflow_runs;
begin
    select * into v_run from workflow_runs r where r.id = _lock_run.run for update;
    if
        v_run.ended_at is not null
        and (select count(*) from workflow_step_states s where s.run_id = v_run.id)
        < (select v.steps_count from workflow_versions v where v.id = v_run.version_id)
    then
        return null;
    end if;
    return v_run;
end
$$;
