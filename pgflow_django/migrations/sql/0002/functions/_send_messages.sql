-- Writes messages into a queue, the rows that pgmq.send_batch would write. What names the table is
-- kept as short as can be: it is planned anew each time, which costs more than running it.
create or replace function pgflow._send_messages(queue text, visible_at timestamptz[], messages jsonb[])
returns void
language plpgsql volatile
as $$
begin
    if cardinality(_send_messages.messages) = 1 then
        execute format('insert into pgmq.%I (vt, message) values ($1, $2)', 'q_pgflow_' || _send_messages.queue)
        using _send_messages.visible_at[1], _send_messages.messages[1];
    else
        execute format(
            'insert into pgmq.%I (vt, message) select * from unnest($1, $2)', 'q_pgflow_' || _send_messages.queue
        ) using _send_messages.visible_at, _send_messages.messages;
    end if;
    perform pgflow._wake_sleepers(_send_messages.queue);
end
$$;
