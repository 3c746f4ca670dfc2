-- Extends a worker's lease on everything that it holds. False where the lease was lost: others
-- have its work by then, and it must register again.
create or replace function pgflow.renew_lease(worker bigint, lease_seconds double precision)
returns boolean
language plpgsql volatile
set search_path from current
as $$
begin
    update workflow_workers w
    set lease_until = clock_timestamp() + make_interval(secs => renew_lease.lease_seconds)
    where w.id = renew_lease.worker;
    return found;
end
$$;
