-- Lets a paused run go on: its tasks get their messages again. One that waits for its next attempt is
-- due when it was, and so is a step with a `start_delay`. Returns the run's status before: nothing was
-- done unless that is paused; null where there is no such run.
create or replace function pgflow.resume_run(run uuid, reason text default '', by text default '')
returns text
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_run workflow_runs := pgflow._lock_run(resume_run.run);
begin
    if v_run.status = 'paused' then
        perform pgflow._withdraw_messages(v_run);  -- one that was sent to be tried first; see retry_run
        update workflow_runs r set status = 'started' where r.id = v_run.id;
        perform pgflow._note_action(
            v_run.id, 'resumed', coalesce(nullif(resume_run.reason, ''), 'resumed'), resume_run.by, resume_run.reason
        );
        perform pgflow._resend_tasks(array(
            select row(
                s.run_id, v_run.version_id, v_run.workflow_slug, s.step_slug, vs.step_type, s.initial_tasks,
                vs.function, pgflow._queue_of('started', v_run.owner_id, vs.queue),
                case
                    -- What a retry has begun has waited already.
                    when exists (
                        select from workflow_run_events e
                        where e.run_id = s.run_id and e.kind in ('retried', 'rerun') and e.at = s.started_at
                    ) then 0
                    else vs.start_delay
                end
            )::pgflow.ready_step
            from workflow_step_states s
            join workflow_version_steps vs on vs.version_id = v_run.version_id and vs.step_slug = s.step_slug
            where s.run_id = v_run.id and s.status = 'started'
            order by s.step_index
        ));
    end if;
    return v_run.status;
end
$$;
