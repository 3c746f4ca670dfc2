-- Does to the tasks of a message what a claim does, and undoes it: always raises, PF007 where a
-- claim would be good.
create or replace function pgflow._try_message(message jsonb)
returns void
language plpgsql volatile
as $$
declare
    c_claim constant bigint := -1;
    v_range pgflow.task_range := row(
        _try_message.message->>'run_id', _try_message.message->>'step_slug',
        _try_message.message->>'task_index', _try_message.message->>'count'
    )::pgflow.task_range;
begin
    update workflow_step_tasks t
    set status = 'started', claim_id = c_claim, attempts_count = t.attempts_count + 1, started_at = clock_timestamp()
    where
        t.run_id = v_range.run_id and t.step_slug = v_range.step_slug
        and t.task_index >= v_range.task_index and t.task_index < v_range.task_index + v_range.count
        and t.status = 'queued';
    perform pgflow._describe(c_claim, array[v_range], 0);
    raise exception using errcode = 'PF007', message = 'claimable';
end
$$;
