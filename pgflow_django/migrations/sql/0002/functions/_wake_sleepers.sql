-- Tells sleeping workers of new messages in a queue, when this transaction commits.
--
-- Only where there are some: NOTIFY lets transactions commit one after another, which at high rates
-- would cost more than the work. The look holds no lock. Whoever falls asleep between it and the
-- commit is not told, and finds the message by its own look, once a second. The number in the payload
-- lets two listeners of one worker see that they have heard the same.
create or replace function pgflow._wake_sleepers(queue text)
returns void
language plpgsql volatile
as $$
begin
    if _wake_sleepers.queue <> 'in_process' and exists (
        select from workflow_workers w
        where w.is_asleep and w.queues @> array[_wake_sleepers.queue] and w.lease_until > clock_timestamp()
    ) then
        perform pg_notify('pgflow', _wake_sleepers.queue || ' ' || pg_current_xact_id());
    end if;
end
$$;
