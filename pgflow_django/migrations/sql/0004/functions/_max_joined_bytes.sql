-- How large what is joined from the outputs of several tasks may become: a step's input, a run's
-- output. The caller says so in a setting where it is not the default, which conf.py has too.
create or replace function pgflow._max_joined_bytes()
returns bigint
language sql stable
as $$
    select coalesce(nullif(current_setting('pgflow.max_joined_bytes', true), '')::bigint, 67108864)
$$;
