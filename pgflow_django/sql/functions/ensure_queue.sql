-- Makes the pgmq queue `pgflow_<name>` where it is missing, with an index in whose order messages are
-- claimed, and one that finds those of a run: a run that ends takes its messages with it.
create or replace function pgflow.ensure_queue(name text)
returns void
language plpgsql volatile
set search_path from current
as $$
declare
    v_queue text := 'pgflow_' || ensure_queue.name;
begin
    if to_regclass(format('pgmq.%I', 'q_' || v_queue)) is null then
        perform pgmq.create(v_queue);
        -- Most of its rows are dead at any time, however many there are.
        execute format(
            'alter table pgmq.%I set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)',
            'q_' || v_queue
        );
        -- Not where the queue is there already: who claims or sends would wait for the caller to commit.
        execute format(
            'create index %I on pgmq.%I (enqueued_at, msg_id)', 'q_' || v_queue || '_rank_idx', 'q_' || v_queue
        );
        perform pg_notify('pgflow_queues', ensure_queue.name);  -- who serves all queues serves this one
    end if;
    -- Not "if not exists": that would lock the queue even where the index is there.
    if to_regclass(format('pgmq.%I', 'q_' || v_queue || '_run_idx')) is null then
        execute format(
            'create index %I on pgmq.%I ((message->>''run_id''))', 'q_' || v_queue || '_run_idx', 'q_' || v_queue
        );
    end if;
end
$$;
