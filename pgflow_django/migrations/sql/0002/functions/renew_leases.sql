-- Extends the leases of these workers on everything that they hold, and returns those that still
-- had one. Who is missing has lost it: others have its work by then, and it must register again.
create or replace function pgflow.renew_leases(workers bigint[], lease_seconds double precision)
returns bigint[]
language sql volatile
set search_path from current
as $$
    with renewed as (
        update workflow_workers w
        set lease_until = clock_timestamp() + make_interval(secs => renew_leases.lease_seconds)
        where w.id = any(renew_leases.workers)
        returning w.id
    )
    select coalesce(array_agg(r.id), '{}') from renewed r
$$;
