-- Takes back what lost workers held: processes whose lease has ended. Runs that one of them ran by
-- itself fail (caller_lost). Tasks that it had claimed return to their queues: one that it had
-- claimed singly has begun and loses an attempt, the last one fails the task (worker_lost); tasks
-- of a batch lose none, and come back one by one, so that the one that kills its process spends
-- nobody else's attempts. Returns the number of lost workers; one sweep at a time.
create or replace function pgflow.sweep()
returns integer
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_lost workflow_workers[];
    v_worker workflow_workers;
    v_claims workflow_claims[];
    v_runs uuid[];
begin
    if
        not exists (select from workflow_workers w where w.lease_until < clock_timestamp())
        and not exists (
            select from workflow_claims c
            where not exists (select from workflow_workers w where w.id = c.worker_id)
        )
    then
        return 0;
    end if;
    if not pg_try_advisory_xact_lock(hashtext('pgflow.sweep')) then
        return 0;
    end if;

    v_lost := array(select w from workflow_workers w where w.lease_until < clock_timestamp());
    -- Not only theirs: a worker that was still claiming while another sweep took it away has left
    -- a claim that no worker holds.
    v_claims := array(
        select c from workflow_claims c
        where not exists (
            select from workflow_workers w
            where w.id = c.worker_id and w.id <> all(array(select l.id from unnest(v_lost) as l))
        )
    );
    v_runs := array(
        select (g->>'run_id')::uuid from unnest(v_claims) as c, jsonb_array_elements(c.tasks) as g
        union
        select r.id
        from unnest(v_lost) as l join workflow_runs r on r.owner_id = l.id
        where r.status in ('started', 'paused')
    );
    perform from workflow_runs r where r.id = any(v_runs) order by r.id for update;

    foreach v_worker in array v_lost loop
        perform pgflow._end_run(r.id, 'failed', null, jsonb_build_object(
            'code', 'caller_lost', 'error_type', 'CallerLost',
            'error_message', format(
                'the process that ran it (%s, pid %s) is gone; retry_run(run_id, step_functions=...) takes it up again',
                v_worker.hostname, v_worker.pid)
        ))
        from workflow_runs r where r.owner_id = v_worker.id and r.status in ('started', 'paused');
    end loop;
    perform pgflow._return_claim(c.id, c.tasks) from unnest(v_claims) as c;

    -- What is in use just now is for the next sweep: a lost worker that still settles or claims. To
    -- wait for it would be a deadlock, since it may wait for our runs.
    delete from workflow_claims c
    where c.id = any(array(
        select held.id
        from workflow_claims held join unnest(v_claims) as seen on seen.id = held.id and seen.tasks = held.tasks
        for update of held skip locked
    ));
    delete from workflow_workers w
    where w.id = any(array(
        select held.id from workflow_workers held
        where held.id = any(array(select l.id from unnest(v_lost) as l))
        for update skip locked
    ));
    return cardinality(v_lost);
end
$$;
