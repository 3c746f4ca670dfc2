-- Whether a process claims past tasks that must be alone: it has made room for them, a third of its
-- lease long, and a task that was there when it began still runs. A step of an hour so stops its
-- neighbours once. When all that was there has ended, room is made again: the more tasks overlap, the
-- more they end together, and once all have, the process is empty.
create or replace function pgflow._passes_over(caller workflow_workers)
returns boolean
language plpgsql volatile
as $$
begin
    return not pgflow._makes_room(_passes_over.caller.makes_room_since, _passes_over.caller.lease_seconds)
        and exists (
            select from workflow_claims c
            where
                c.worker_id = _passes_over.caller.id and c.claimed_at < _passes_over.caller.makes_room_since
                and pgflow._holds_tasks(c.id)
        );
end
$$;
