-- Cancels a run with everything that it has left. Returns the run's status before: nothing was done
-- where it had ended already; null where there is no such run.
create or replace function pgflow.cancel_run(run uuid, reason text, by text default '')
returns text
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_run workflow_runs := pgflow._lock_run(cancel_run.run);
begin
    if v_run.status in ('started', 'paused') then
        perform pgflow._end_run(v_run.id, 'cancelled', null, null);
        perform pgflow._note_action(
            v_run.id, 'cancelled', cancel_run.reason, cancel_run.by, cancel_run.reason, level => 'warning'
        );
    end if;
    return v_run.status;
end
$$;
