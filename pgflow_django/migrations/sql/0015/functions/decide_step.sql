-- A person decides how a step ends, or one task of a map, in place of its function: as `skipped`, or
-- as `completed` with a given output. A failed or cancelled run is taken up again for it (see
-- retry_run), and `hold` leaves the run paused. Then the run goes on as if it had come by itself:
--
-- * The tasks of the step that are not done get the verdict. What runs just now is cut off: its claim
--   is gone, and with it the right to settle.
-- * A skipped task has the output null in its map's list. A step is skipped where none of its tasks
--   has completed; else it is completed, with nulls. A skipped step gives null to those that wait for
--   it, and nothing to the run's output. What maps over it can't go on: that is refused unless
--   `downstream` is said, which skips all that comes after it.
-- * The output of a whole map is an array, an element a task. A step that has not begun may be decided
--   as well; what it waits for is no longer of interest to it.
--
-- Returns {"before": the run's status, "tasks": how many were decided, "steps": those that are done by
-- it}, as JSON text; null where there is no such run. Locks the run, messages, tasks, step states.
create or replace function pgflow.decide_step(
    run uuid,
    slug text,
    index integer,
    verdict text,
    output jsonb default null,
    downstream boolean default false,
    hold boolean default false,
    reason text default '',
    by text default ''
)
returns text
language plpgsql volatile
set search_path from current
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_before workflow_runs := pgflow._lock_run(decide_step.run);
    v_run workflow_runs := v_before;
    v_index integer;
    v_tasks integer;
    v_done text[] := '{}';
    v_now timestamptz := clock_timestamp();
begin
    if v_run.id is null then
        return null;
    elsif v_run.status = 'completed' then
        perform pgflow._refuse('run_has_ended', format('run %s has ended: it is completed', v_run.id));
    end if;
    v_index := pgflow._check_verdict(
        v_run, decide_step.slug, decide_step.index, decide_step.verdict, decide_step.output, decide_step.downstream
    );

    if v_run.ended_at is not null then
        v_run := pgflow._take_up(v_run, null, decide_step.hold, decide_step.by, v_now);
    elsif decide_step.hold and v_run.status = 'started' then
        perform pgflow.pause_run(v_run.id, decide_step.reason, decide_step.by);
        v_run.status := 'paused';
    end if;
    perform pgflow._withdraw_messages(v_run, decide_step.slug, v_index);
    v_tasks := pgflow._decide_tasks(v_run, decide_step.slug, v_index, decide_step.verdict, decide_step.output);
    if pgflow._decide_state(
        v_run, decide_step.slug, v_index, decide_step.verdict, decide_step.output, v_tasks
    ) then
        v_done := v_done || decide_step.slug;
    end if;
    if decide_step.downstream then
        v_done := v_done || pgflow._skip_after(v_run, decide_step.slug);
    end if;

    perform pgflow._note_action(
        v_run.id, case decide_step.verdict when 'skipped' then 'skipped' else 'completed_by_hand' end,
        coalesce(nullif(decide_step.reason, ''), format(
            '%sstep "%s" was %s by hand',
            case when v_index is not null then format('task %s of ', v_index) else '' end,
            decide_step.slug, decide_step.verdict
        )),
        decide_step.by, decide_step.reason, decide_step.slug, v_index,
        jsonb_build_object('tasks', v_tasks, 'steps', v_done), 'warning'
    );
    if v_done <> '{}' then
        perform pgflow._advance(
            array(select row(v_run.id, done)::pgflow.step_ref from unnest(v_done) as done), 0, null, null
        );
    end if;
    if v_before.ended_at is not null then
        perform pgflow._start_ready(v_run, v_now);
    end if;
    return jsonb_build_object('before', v_before.status, 'tasks', v_tasks, 'steps', v_done)::text;
end
$$;
