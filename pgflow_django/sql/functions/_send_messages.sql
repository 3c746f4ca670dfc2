-- Writes messages into a queue, the rows that pgmq.send_batch would write, and tells sleepers. What is
-- delayed is ranked by when it will be due (`enqueued_at`): claims take messages in that order. Where the
-- queue is null, as that of a paused run is, nothing is sent.
--
-- A statement that names its table as text is planned anew each time, which costs more than running
-- it. So the queue that most sites have no other than, and that of runs in process, are spelt out.
create or replace function pgflow._send_messages(queue text, visible_at timestamptz[], messages jsonb[])
returns void
language plpgsql volatile
as $$
begin
    if _send_messages.queue = 'default' then
        insert into pgmq.q_pgflow_default (enqueued_at, vt, message)
        select m.at, m.at, m.message
        from unnest(_send_messages.visible_at, _send_messages.messages) as m (at, message);
    elsif _send_messages.queue = 'in_process' then
        insert into pgmq.q_pgflow_in_process (enqueued_at, vt, message)
        select m.at, m.at, m.message
        from unnest(_send_messages.visible_at, _send_messages.messages) as m (at, message);
    elsif _send_messages.queue is not null then
        execute format(
            'insert into pgmq.%I (enqueued_at, vt, message)'
            ' select m.at, m.at, m.message from unnest($1, $2) as m (at, message)',
            'q_pgflow_' || _send_messages.queue
        ) using _send_messages.visible_at, _send_messages.messages;
    else
        return;
    end if;
    perform pgflow._wake_sleepers(_send_messages.queue);
end
$$;
