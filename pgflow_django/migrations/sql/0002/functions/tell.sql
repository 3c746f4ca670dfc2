-- From now on, until told(), this transaction notes down what happens to runs and steps (_tell), for
-- Django's signals. Without it nothing is noted, and nothing is spent.
create or replace function pgflow.tell()
returns void
language sql volatile
as $$
    select set_config('pgflow.told', '[', true)
$$;
