-- Seconds until the next message of these queues becomes visible, 0 if one is now, null if there
-- is none. `run` narrows it to one run's messages.
create or replace function pgflow.next_visible(worker_queues text[], run uuid default null)
returns double precision
language plpgsql stable
set search_path from current
as $$
declare
    v_queue text;
    v_vt timestamptz;
    v_next timestamptz;
begin
    foreach v_queue in array next_visible.worker_queues loop
        execute format(
            'select min(q.vt) from pgmq.%I q where ($1::text is null or q.message->>''run_id'' = $1)',
            'q_pgflow_' || v_queue
        ) into v_vt using next_visible.run::text;
        v_next := least(v_next, v_vt);
    end loop;
    return greatest(0, extract(epoch from v_next - clock_timestamp()));
end
$$;
