-- Notes down in a run's events what a person has done to it, and why: `message` is the reason, or else
-- what was done; `data` has who did it and what else is worth telling.
create or replace function pgflow._note_action(
    run uuid, kind text, message text, action_by text, action_reason text,
    slug text default null, index integer default null, facts jsonb default '{}', level text default 'info',
    at timestamptz default clock_timestamp()
)
returns void
language plpgsql volatile
as $$
begin
    insert into workflow_run_events (run_id, at, level, kind, step_slug, task_index, message, data)
    values (
        _note_action.run, _note_action.at, _note_action.level, _note_action.kind, _note_action.slug,
        _note_action.index, _note_action.message,
        nullif(_note_action.facts || jsonb_strip_nulls(jsonb_build_object(
            'by', nullif(_note_action.action_by, ''), 'reason', nullif(_note_action.action_reason, '')
        )), '{}')
    );
end
$$;
