-- Rows that our functions hand to one another.
create type pgflow.step_ref as (run_id uuid, step_slug text);

-- A step that has just become ready, with what delivering its tasks takes. `queue` is where its
-- messages go: `in_process` for a run that one process owns, whatever the step says.
create type pgflow.ready_step as (
    run_id uuid,
    version_id bigint,
    workflow_slug text,
    step_slug text,
    step_type text,
    tasks integer,
    function text,
    queue text,
    start_delay integer
);

-- `count` neighbouring tasks of one step of one run.
create type pgflow.task_range as (
    run_id uuid,
    step_slug text,
    task_index integer,
    count integer
);
