-- Whether a task that must be alone may be claimed now: its process holds nothing else. If so, its
-- other threads claim nothing until it is settled.
create or replace function pgflow._become_alone(caller workflow_workers, claim bigint)
returns boolean
language plpgsql volatile
as $$
begin
    if exists (
        select from workflow_claims c
        where c.worker_id = _become_alone.caller.id and c.id <> _become_alone.claim and pgflow._holds_tasks(c.id)
    ) then
        return false;
    end if;
    update workflow_workers w set alone_claim = _become_alone.claim
    where w.id = _become_alone.caller.id and w.alone_claim is null;
    return found;
end
$$;
