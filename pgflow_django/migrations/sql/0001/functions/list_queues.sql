-- The queues that any worker may serve, without the prefix of their pgmq names.
create or replace function pgflow.list_queues()
returns text[]
language sql stable
as $$
    select coalesce(array_agg(substr(m.queue_name, 8) order by m.queue_name), '{}')
    from pgmq.meta m
    where m.queue_name like 'pgflow\_%' and m.queue_name <> 'pgflow_in_process'
$$;
