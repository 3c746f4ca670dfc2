-- Seconds until the next message that this worker could take becomes visible, 0 if one is now,
-- null if there is none. `run` narrows it to that run's messages in the queue `in_process`.
create or replace function pgflow.next_visible(worker bigint, run uuid default null)
returns double precision
language plpgsql stable
set search_path from current
as $$
declare
    v_worker workflow_workers;
    v_queue text;
    v_vt timestamptz;
    v_next timestamptz;
begin
    select * into v_worker from workflow_workers w where w.id = next_visible.worker;
    foreach v_queue in array
        case when next_visible.run is null then v_worker.queues else '{in_process}' end
    loop
        execute format(
            'select min(q.vt) from pgmq.%I q where ($1::text is null or q.message->>''run_id'' = $1) '
            'and ($2::text[] is null or q.message->>''function'' = any($2))',
            'q_pgflow_' || v_queue
        ) into v_vt using next_visible.run::text, v_worker.functions;
        v_next := least(v_next, v_vt);
    end loop;
    -- `greatest` alone would turn null into 0.
    return case when v_next is not null then greatest(0, extract(epoch from v_next - clock_timestamp())) end;
end
$$;
