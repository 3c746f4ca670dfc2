-- The hot path: settles completed tasks and claims the next ones, in one round trip and one commit.
--
-- results   [{"r": run id, "s": step slug, "i": task index, "c": claim id, "o": output}], or null;
--           a large output also says how large it is as text ("z", bytes);
--           whatever its claim no longer covers (lost lease, ended run) changes nothing; a lone
--           result of a chain also says what follows (see _follow_link)
-- claim     the id under which the calling thread claims; of its last tasks nothing is left to run
-- wanted    how many tasks the worker can take now; 0 to settle only
-- run       null, or the one run whose tasks are wanted: then from the queue `in_process`
-- poll      whether to look into the queues even where completed steps gave tasks already
-- feed      whether tasks of steps that become ready may go to this worker past what waits in its
--           queues; never where it polls and wants one: else a chain would keep it for itself
--
-- Returns null where nothing was claimed and nothing settled; else a JSON object (see _describe)
-- with `accepted`, the number of results that counted.
--
-- Plans: they are made once a session, often on empty tables, and must hold when those have grown to
-- millions of rows. A range that is always true makes the planner expect one row of what we pass in,
-- and so look up each rather than read a table from end to end. Elsewhere too.
--
-- Locks, each kind in one sorted pass: runs (key share, so that maps settle in parallel, while
-- whoever ends a run waits), tasks, step states, states of dependents, runs, messages, tasks.
create or replace function pgflow.settle_and_claim(
    worker bigint,
    results jsonb,
    claim bigint,
    wanted integer,
    run uuid default null,
    poll boolean default true,
    feed boolean default true
)
returns text
language plpgsql volatile
set search_path from current
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
    v_caller workflow_workers;
    v_completed pgflow.step_ref[];
    v_accepted integer := 0;
    v_ranges pgflow.task_range[];
    v_wanted integer := settle_and_claim.wanted;
    v_feed integer;
    v_now timestamptz := clock_timestamp();
    v_answer text;
begin
    if
        settle_and_claim.wanted > 0 and not settle_and_claim.poll and settle_and_claim.feed
        and jsonb_array_length(settle_and_claim.results) = 1 and settle_and_claim.results->0 ? 'n'
    then
        v_answer := pgflow._follow_link(settle_and_claim.results->0, settle_and_claim.worker, settle_and_claim.claim);
        if v_answer is not null then
            return v_answer;
        end if;
    end if;
    if settle_and_claim.wanted > 0 then
        -- Who holds nothing is not seen by another thread that wants to be alone (_become_alone).
        if settle_and_claim.results is null and not pg_try_advisory_xact_lock_shared(
            hashtext('pgflow.alone'), (settle_and_claim.worker % 2147483647)::integer
        ) then
            return null;
        end if;
        select * into v_caller from workflow_workers w where w.id = settle_and_claim.worker;
        if not found then  -- its lease has ended, and others have its work
            raise exception using errcode = 'PF006', message = 'lease_lost';
        end if;
        if v_caller.alone_claim is not null then
            v_wanted := pgflow._leave_alone(v_caller, settle_and_claim.claim, v_wanted);
        end if;
    end if;

    v_feed := case
        when not settle_and_claim.feed or pgflow._makes_room(v_caller.makes_room_since, v_caller.lease_seconds) then 0
        when settle_and_claim.poll and settle_and_claim.run is null and v_wanted = 1 then 0
        else v_wanted
    end;

    if jsonb_array_length(settle_and_claim.results) = 1 then
        select * into v_accepted, v_ranges from pgflow._settle_one(
            settle_and_claim.results->0, v_feed, settle_and_claim.claim, v_caller
        );
    elsif settle_and_claim.results is not null then
        perform from workflow_runs r
        where r.id = any(array(
            select distinct (x->>'r')::uuid from jsonb_array_elements(settle_and_claim.results) as x
        ))
        order by r.id
        for key share;

        with settled as (
            update workflow_step_tasks t
            set status = 'completed', output = coalesce(x.o, 'null'), claim_id = null, ended_at = v_now
            from jsonb_to_recordset(settle_and_claim.results)
                as x (r uuid, s text, i integer, c bigint, o jsonb, z bigint)
            where
                x.i between 0 and 2147483647  -- always; see "Plans" above
                and t.run_id = x.r and t.step_slug = x.s and t.task_index = x.i
                and t.claim_id = x.c and t.status = 'started'
            returning t.run_id, t.step_slug, greatest(pg_column_size(x.o), x.z, 0) as bytes
        ),
        counted as (
            update workflow_step_states s
            set
                remaining_tasks = s.remaining_tasks - d.tasks,
                output_bytes = s.output_bytes + d.bytes,
                status = case when s.remaining_tasks = d.tasks then 'completed' else s.status end,
                ended_at = case when s.remaining_tasks = d.tasks then v_now end
            from (
                select n.run_id, n.step_slug, count(*)::integer as tasks, sum(n.bytes) as bytes
                from settled n group by n.run_id, n.step_slug order by n.run_id, n.step_slug
            ) as d
            where s.run_id = d.run_id and s.step_slug = d.step_slug and s.status = 'started'
            returning s.run_id, s.step_slug, s.remaining_tasks
        )
        select
            array_agg(row(c.run_id, c.step_slug)::pgflow.step_ref) filter (where c.remaining_tasks = 0),
            (select count(*) from settled)
        into v_completed, v_accepted
        from counted c;
    end if;

    if v_completed is not null then
        v_ranges := pgflow._advance(v_completed, v_feed, settle_and_claim.claim, v_caller);
    end if;
    if v_wanted > 0 and (
        v_ranges is null or (settle_and_claim.poll and cardinality(v_ranges) < v_wanted)
    ) then
        v_ranges := v_ranges || pgflow._claim_messages(
            v_caller, settle_and_claim.claim, v_wanted - coalesce(cardinality(v_ranges), 0),
            settle_and_claim.run, v_ranges is null
        );
    end if;
    if v_ranges is null then
        if v_wanted > 0 then  -- it has nothing left, and may sleep for hours
            delete from workflow_claims c where c.id = settle_and_claim.claim;
        end if;
        return case when v_accepted > 0 then format('{"accepted": %s}', v_accepted) end;
    end if;

    update workflow_claims c set tasks = to_jsonb(v_ranges), claimed_at = v_now where c.id = settle_and_claim.claim;
    if not found then
        insert into workflow_claims (id, worker_id, tasks, claimed_at)
        values (settle_and_claim.claim, v_caller.id, to_jsonb(v_ranges), v_now);
    end if;
    return pgflow._describe(settle_and_claim.claim, v_ranges, v_accepted);
end
$$;
