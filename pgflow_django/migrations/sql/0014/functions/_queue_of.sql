-- The queue in which tasks of a run wait: that of their step, or `in_process` where one process owns
-- the run; null where it is paused, since nothing of it is sent then.
create or replace function pgflow._queue_of(run_status text, owner_id bigint, step_queue text)
returns text
language sql immutable
as $$
    select case
        when _queue_of.run_status = 'paused' then null
        when _queue_of.owner_id is null then _queue_of.step_queue
        else 'in_process'
    end
$$;
