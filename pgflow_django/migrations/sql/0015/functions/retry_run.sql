-- Takes a failed or cancelled run up again: what had completed keeps its output, the rest starts
-- afresh with all its attempts, in a round of their own, and what it waits for is counted anew.
-- `new_owner` is the process that will run it, null for any worker. `hold` leaves it paused. So does
-- `slug`, the step that shall be tried first, or one task of it: nothing else is sent.
--
-- Returns the run's status before: nothing was done unless that is failed or cancelled; null
-- where there is no such run. Refuses what can't be tried (see _require_step and _send_first).
create or replace function pgflow.retry_run(
    run uuid,
    new_owner bigint default null,
    slug text default null,
    index integer default null,
    hold boolean default false,
    by text default ''
)
returns text
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_before workflow_runs := pgflow._lock_run(retry_run.run);
    v_run workflow_runs;
    v_now timestamptz := clock_timestamp();
begin
    if v_before.status in ('failed', 'cancelled') then
        if retry_run.slug is not null then
            perform pgflow._require_step(v_before, retry_run.slug, retry_run.index);
        end if;
        v_run := pgflow._take_up(
            v_before, retry_run.new_owner, retry_run.hold or retry_run.slug is not null, retry_run.by, v_now
        );
        perform pgflow._start_ready(v_run, v_now);
        if retry_run.slug is not null then
            perform pgflow._send_first(v_run, retry_run.slug, retry_run.index);
        end if;
    end if;
    return v_before.status;
end
$$;
