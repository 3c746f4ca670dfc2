-- Unregisters a worker that stops. What it still holds (a function that could not be stopped) goes
-- back by the sweep, at once, as when its lease had ended.
create or replace function pgflow.remove_worker(worker bigint)
returns void
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    delete from workflow_workers w
    where
        w.id = remove_worker.worker
        and not exists (select from workflow_claims c where c.worker_id = w.id)
        and not exists (
            select from workflow_runs r where r.owner_id = w.id and r.status in ('started', 'paused')
        );
    if not found then
        update workflow_workers w set lease_until = 'epoch' where w.id = remove_worker.worker;
        perform pgflow.sweep();
    end if;
end
$$;
