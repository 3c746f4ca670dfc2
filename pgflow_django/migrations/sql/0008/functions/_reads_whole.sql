-- Whether the inputs of a map step name all of its dependency's output, and not its item alone.
create or replace function pgflow._reads_whole(inputs jsonb, dependency text)
returns boolean
language sql immutable
as $$
    select exists (
        select from jsonb_each_text(_reads_whole.inputs) as named
        where split_part(named.value, '/', 1) = _reads_whole.dependency
    ) and _reads_whole.dependency not in ('item', 'index')
$$;
