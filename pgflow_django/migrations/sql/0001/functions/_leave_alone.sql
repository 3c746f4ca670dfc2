-- How many tasks a thread may claim while another one of its process may be running a task that
-- must be alone: none as long as it does, else what it wants.
create or replace function pgflow._leave_alone(caller workflow_workers, claim bigint, wanted integer)
returns integer
language plpgsql volatile
as $$
begin
    if
        _leave_alone.caller.alone_claim <> _leave_alone.claim
        and pgflow._holds_tasks(_leave_alone.caller.alone_claim)
    then
        return 0;
    end if;
    update workflow_workers w set alone_claim = null
    where w.id = _leave_alone.caller.id and w.alone_claim = _leave_alone.caller.alone_claim;
    return _leave_alone.wanted;
end
$$;
