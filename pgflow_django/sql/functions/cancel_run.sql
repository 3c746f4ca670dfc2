-- Cancels a run with everything that it has left; nothing where it has ended already. Returns the
-- run's status afterwards, null where there is no such run.
create or replace function pgflow.cancel_run(run uuid, reason text)
returns text
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_status text;
begin
    select r.status into v_status from workflow_runs r where r.id = cancel_run.run for update;
    if v_status in ('started', 'paused') then
        perform pgflow._end_run(cancel_run.run, 'cancelled', null, null);
        insert into workflow_run_events (run_id, at, level, kind, message)
        values (cancel_run.run, clock_timestamp(), 'warning', 'cancelled', cancel_run.reason);
        v_status := 'cancelled';
    end if;
    return v_status;
end
$$;
