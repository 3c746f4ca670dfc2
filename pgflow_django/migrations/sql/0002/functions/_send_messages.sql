-- Writes messages into a queue, the rows that pgmq.send_batch would write, and tells sleepers.
--
-- A statement that names its table as text is planned anew each time, which costs more than running
-- it. So the queue that most sites have no other than, and that of runs in process, are spelt out.
create or replace function pgflow._send_messages(queue text, visible_at timestamptz[], messages jsonb[])
returns void
language plpgsql volatile
as $$
begin
    if _send_messages.queue = 'default' then
        insert into pgmq.q_pgflow_default (vt, message)
        select * from unnest(_send_messages.visible_at, _send_messages.messages);
    elsif _send_messages.queue = 'in_process' then
        insert into pgmq.q_pgflow_in_process (vt, message)
        select * from unnest(_send_messages.visible_at, _send_messages.messages);
    else
        execute format(
            'insert into pgmq.%I (vt, message) select * from unnest($1, $2)', 'q_pgflow_' || _send_messages.queue
        ) using _send_messages.visible_at, _send_messages.messages;
    end if;
    perform pgflow._wake_sleepers(_send_messages.queue);
end
$$;
