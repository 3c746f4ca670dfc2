-- Hands back all that a worker has claimed, with no attempt spent, and unregisters it. For a process
-- that was stopped on purpose, after the task that it was running has been failed by name. Returns
-- how many tasks were handed back.
create or replace function pgflow.release_worker(worker bigint)
returns integer
language plpgsql volatile
set search_path from current
as $$
declare
    v_released integer;
begin
    v_released := pgflow.release_claims(array(
        select c.id from workflow_claims c where c.worker_id = release_worker.worker
    ));
    perform pgflow.remove_worker(release_worker.worker);
    return v_released;
end
$$;
