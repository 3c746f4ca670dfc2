-- Seconds until the next message that this worker could take becomes visible, 0 if one is now,
-- null if there is none. `run` narrows it to that run's messages in the queue `in_process`. To a worker
-- whose lease has ended it says 0: the claim that follows tells it so.
--
-- One look into the index of `vt`. Who has made a message visible before it was due (pgmq.set_vt)
-- has left its rank behind, by which it is claimed: that follows here.
create or replace function pgflow.next_visible(worker bigint, run uuid default null)
returns double precision
language plpgsql volatile
set search_path from current
set enable_seqscan = off
as $$
declare
    v_worker workflow_workers;
    v_queue text;
    v_found record;
    v_next timestamptz;
    v_now timestamptz := clock_timestamp();
begin
    select * into v_worker from workflow_workers w where w.id = next_visible.worker;
    if not found and next_visible.run is null then
        return 0;
    end if;
    foreach v_queue in array
        case when next_visible.run is null then v_worker.queues else '{in_process}' end
    loop
        -- Spelt out for the queue that most sites have no other than: see _send_messages.
        if v_queue = 'default' then
            select q.vt, q.enqueued_at into v_found from pgmq.q_pgflow_default q
            where v_worker.functions is null or q.message->>'function' = any(v_worker.functions)
            order by q.vt limit 1;
        else
            execute format(
                'select q.vt, q.enqueued_at from pgmq.%I q where ($1::text is null or q.message->>''run_id'' = $1) '
                'and ($2::text[] is null or q.message->>''function'' = any($2)) order by q.vt limit 1',
                'q_pgflow_' || v_queue
            ) into v_found using next_visible.run::text, v_worker.functions;
        end if;
        v_next := least(v_next, v_found.vt);
        if v_found.vt <= v_now and v_found.enqueued_at > v_now then
            execute format(
                'update pgmq.%1$I set enqueued_at = vt where msg_id = any(array('
                'select msg_id from pgmq.%1$I where vt <= $1 and enqueued_at > $1 for update skip locked))',
                'q_pgflow_' || v_queue
            ) using v_now;
        end if;
    end loop;
    -- `greatest` alone would turn null into 0.
    return case when v_next is not null then greatest(0, extract(epoch from v_next - v_now)) end;
end
$$;
