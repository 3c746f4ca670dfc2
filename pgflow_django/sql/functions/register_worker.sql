-- Registers a process that will claim tasks, with its lease, and returns its id. Its queues are
-- made where they are missing. `worker_node` is the node of workers that it belongs to, if any.
create or replace function pgflow.register_worker(
    worker_kind text, host text, process integer, worker_queues text[], worker_functions text[],
    lease_seconds double precision, worker_node text default ''
)
returns bigint
language plpgsql volatile
set search_path from current
as $$
declare
    v_id bigint;
begin
    perform pgflow.ensure_queue(q)
    from unnest(register_worker.worker_queues) as q
    where to_regclass(format('pgmq.%I', 'q_pgflow_' || q)) is null;

    insert into workflow_workers (kind, node, hostname, pid, queues, functions, started_at, lease_until, lease_seconds)
    values (
        register_worker.worker_kind, register_worker.worker_node, register_worker.host, register_worker.process,
        register_worker.worker_queues, register_worker.worker_functions, clock_timestamp(),
        clock_timestamp() + make_interval(secs => register_worker.lease_seconds), register_worker.lease_seconds
    )
    returning id into v_id;
    return v_id;
end
$$;
