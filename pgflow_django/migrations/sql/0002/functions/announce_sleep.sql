-- Says whether a worker has nothing to do and wants to be told of new messages in its queues (NOTIFY
-- on channel `pgflow`, see _wake_sleepers). Who has just said so looks into its queues once more
-- after this has committed: a message that was sent meanwhile has told nobody.
create or replace function pgflow.announce_sleep(worker bigint, asleep boolean)
returns void
language sql volatile
set search_path from current
as $$
    update workflow_workers w set is_asleep = announce_sleep.asleep where w.id = announce_sleep.worker
$$;
