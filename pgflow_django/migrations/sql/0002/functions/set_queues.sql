-- Changes which queues a worker serves; they are made where they are missing.
create or replace function pgflow.set_queues(worker bigint, worker_queues text[])
returns void
language plpgsql volatile
set search_path from current
as $$
begin
    perform pgflow.ensure_queue(q)
    from unnest(set_queues.worker_queues) as q
    where to_regclass(format('pgmq.%I', 'q_pgflow_' || q)) is null;
    update workflow_workers w set queues = set_queues.worker_queues where w.id = set_queues.worker;
end
$$;
