-- Whether a task that must be alone may be claimed now: its process holds nothing else. If so, its
-- other threads claim nothing until it is settled; if not, they begin to make room for it: nothing is
-- claimed and nothing handed on, for a while.
create or replace function pgflow._become_alone(caller workflow_workers, claim bigint, is_empty boolean default true)
returns boolean
language plpgsql volatile
as $$
begin
    if
        _become_alone.is_empty
        and not exists (
            select from workflow_claims c
            where c.worker_id = _become_alone.caller.id and c.id <> _become_alone.claim and pgflow._holds_tasks(c.id)
        )
        -- A thread that is claiming just now may hold something in a moment; see settle_and_claim.
        and pg_try_advisory_xact_lock(hashtext('pgflow.alone'), (_become_alone.caller.id % 2147483647)::integer)
    then
        update workflow_workers w set alone_claim = _become_alone.claim, makes_room_since = null
        where w.id = _become_alone.caller.id and w.alone_claim is null;
        return found;
    end if;
    update workflow_workers w set makes_room_since = clock_timestamp()
    where w.id = _become_alone.caller.id and not pgflow._makes_room(w.makes_room_since, w.lease_seconds);
    return false;
end
$$;
