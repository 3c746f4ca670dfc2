-- Takes back at once what these workers held, as if their leases had ended: somebody has seen that
-- their processes are gone. Returns the number of lost workers that were swept.
create or replace function pgflow.lose_workers(workers bigint[])
returns integer
language plpgsql volatile
set search_path from current
as $$
begin
    update workflow_workers w set lease_until = 'epoch' where w.id = any(lose_workers.workers);
    return pgflow.sweep();
end
$$;
