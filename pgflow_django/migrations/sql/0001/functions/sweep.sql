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

    -- Runs before workers before claims: the order in which results are settled.
    v_runs := array(
        select (g->>'run_id')::uuid
        from workflow_claims c, jsonb_array_elements(c.tasks) as g
        where not exists (
            select from workflow_workers w where w.id = c.worker_id and w.lease_until >= clock_timestamp()
        )
        union
        select r.id
        from workflow_workers w join workflow_runs r on r.owner_id = w.id
        where w.lease_until < clock_timestamp() and r.status in ('started', 'paused')
    );
    perform from workflow_runs r where r.id = any(v_runs) order by r.id for update;

    with lost as (
        delete from workflow_workers w
        where w.id = any(array(
            select l.id from workflow_workers l
            where l.lease_until < clock_timestamp() order by l.id for update skip locked
        ))
        returning w as worker
    )
    select array_agg(lost.worker) into v_lost from lost;

    -- Not only theirs: a worker that was still claiming while another sweep took it away has left
    -- a claim that no worker holds.
    with taken as (
        delete from workflow_claims c
        where not exists (select from workflow_workers w where w.id = c.worker_id)
        returning c as claim
    )
    select array_agg(taken.claim) into v_claims from taken;

    -- What they have claimed since the first look.
    perform from workflow_runs r
    where r.id = any(array(
        select (g->>'run_id')::uuid from unnest(v_claims) as c, jsonb_array_elements(c.tasks) as g
    )) and r.id <> all(v_runs)
    order by r.id
    for update;

    foreach v_worker in array coalesce(v_lost, '{}') loop
        perform pgflow._end_run(r.id, 'failed', null, jsonb_build_object(
            'code', 'caller_lost', 'error_type', 'CallerLost',
            'error_message', format(
                'the process that ran it (%s, pid %s) is gone; retry_run(run_id, step_functions=...) takes it up again',
                v_worker.hostname, v_worker.pid)
        ))
        from workflow_runs r where r.owner_id = v_worker.id and r.status in ('started', 'paused');
    end loop;
    perform pgflow._return_claim(c.id, c.tasks) from unnest(v_claims) as c;
    return coalesce(cardinality(v_lost), 0);
end
$$;
