-- Takes up to `wanted` tasks out of the caller's queues, what has been due for longest first, and
-- starts them under `claim_id`. A message of more tasks than wanted keeps the rest, behind what waits
-- now: a map takes turns with what else there is, each as long as a worker's batch (20 ms, or a task).
-- Not where tasks are so short that many are wanted: there its other tasks are the cheapest to take.
--
-- A message's rank is `enqueued_at`, the moment at which it became due; see _send_messages. The time
-- stands in a variable, so that an index leads past those that are due later, however many they are:
-- `greatest` says that it shall be the index of the ranks, not that of `vt`.
--
-- Does what pgmq.read and pgmq.delete would do, but looks before it takes: messages whose function
-- the caller lacks stay untouched. One marked `alone` (its task was lost together with others) is
-- taken only when the process holds nothing else; nothing behind it is, until _passes_over says so.
create or replace function pgflow._claim_messages(
    caller workflow_workers, claim_id bigint, wanted integer, run uuid, is_empty boolean
)
returns pgflow.task_range[]
language plpgsql volatile
as $$
declare
    v_queue text;
    v_messages refcursor;
    v_message record;
    v_index integer;
    v_count integer;
    v_left integer := _claim_messages.wanted;
    v_emptied bigint[];
    v_ranges pgflow.task_range[];
    v_now timestamptz := clock_timestamp();
    v_passes_over boolean :=
        _claim_messages.caller.makes_room_since is not null and pgflow._passes_over(_claim_messages.caller);
begin
    foreach v_queue in array
        case when _claim_messages.run is null then _claim_messages.caller.queues else '{in_process}' end
    loop
        exit when v_left <= 0;
        v_emptied := null;
        -- Spelt out for the queue that most sites have no other than: see _send_messages.
        if v_queue = 'default' then
            open v_messages for
                select q.msg_id, q.message from pgmq.q_pgflow_default q
                where
                    q.enqueued_at <= v_now and greatest(q.vt, q.enqueued_at) <= v_now
                    and (
                        _claim_messages.caller.functions is null
                        or q.message->>'function' = any(_claim_messages.caller.functions)
                    )
                    and not (v_passes_over and q.message @> '{"alone": true}')
                order by q.enqueued_at, q.msg_id limit v_left for update skip locked;
        else
            open v_messages for execute format(
                'select q.msg_id, q.message from pgmq.%I q'
                ' where q.enqueued_at <= $4 and greatest(q.vt, q.enqueued_at) <= $4'
                ' and ($2::text is null or q.message->>''run_id'' = $2)'
                ' and ($3::text[] is null or q.message->>''function'' = any($3))'
                ' and not ($5 and q.message @> ''{"alone": true}'')'
                ' order by q.enqueued_at, q.msg_id limit $1 for update skip locked',
                'q_pgflow_' || v_queue
            ) using v_left, _claim_messages.run::text, _claim_messages.caller.functions, v_now,
                v_passes_over;
        end if;
        while v_left > 0 loop  -- each fetch locks one message: others find the rest
            fetch v_messages into v_message;
            exit when not found;
            if v_message.message @> '{"alone": true}' then
                v_left := 0;
                exit when not pgflow._become_alone(
                    _claim_messages.caller, _claim_messages.claim_id, _claim_messages.is_empty and v_ranges is null
                );
                v_left := 1;
            end if;
            v_index := v_message.message->>'task_index';
            v_count := v_message.message->>'count';
            v_ranges := v_ranges || row(
                v_message.message->>'run_id', v_message.message->>'step_slug', v_index, least(v_count, v_left)
            )::pgflow.task_range;
            if v_count <= v_left then
                v_emptied := v_emptied || v_message.msg_id;
            else
                execute format(
                    'update pgmq.%I set enqueued_at = coalesce($3, enqueued_at), vt = coalesce($3, vt),'
                    ' message = message || $2 where msg_id = $1',
                    'q_pgflow_' || v_queue
                ) using v_message.msg_id,
                    jsonb_build_object('task_index', v_index + v_left, 'count', v_count - v_left),
                    case when _claim_messages.wanted < 20 then clock_timestamp() end;
            end if;
            v_left := v_left - v_count;
        end loop;
        close v_messages;
        if v_emptied is null then
            continue;
        elsif v_queue = 'default' then
            delete from pgmq.q_pgflow_default q where q.msg_id = any(v_emptied);
        else
            execute format('delete from pgmq.%I where msg_id = any($1)', 'q_pgflow_' || v_queue) using v_emptied;
        end if;
    end loop;

    if v_ranges is not null then
        update workflow_step_tasks t
        set
            status = 'started', attempts_count = t.attempts_count + 1, claim_id = _claim_messages.claim_id,
            worker = _claim_messages.caller.hostname || ':' || _claim_messages.caller.pid,
            started_at = clock_timestamp()
        from unnest(v_ranges) as g
        where
            t.run_id = g.run_id and t.step_slug = g.step_slug
            and t.task_index >= g.task_index and t.task_index < g.task_index + g.count
            and t.status = 'queued'
            and g.count between 0 and 2147483647;  -- always; for the plan, see settle_and_claim
    end if;
    return v_ranges;
end
$$;
