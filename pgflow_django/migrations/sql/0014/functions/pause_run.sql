-- Pauses a run: nothing of it is started until resume_run, and its messages leave their queues. What
-- runs goes on to its end and is settled; if it was the last, the run ends. Returns the run's status
-- before: nothing was done unless that is started; null where there is no such run.
create or replace function pgflow.pause_run(run uuid, reason text default '', by text default '')
returns text
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_run workflow_runs := pgflow._lock_run(pause_run.run);
begin
    if v_run.status = 'started' then
        perform pgflow._withdraw_messages(v_run);
        update workflow_runs r set status = 'paused' where r.id = v_run.id;
        perform pgflow._note_action(
            v_run.id, 'paused', coalesce(nullif(pause_run.reason, ''), 'paused'), pause_run.by, pause_run.reason
        );
    end if;
    return v_run.status;
end
$$;
