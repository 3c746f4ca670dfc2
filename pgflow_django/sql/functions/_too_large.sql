-- Says what would be too large to be joined, of how many bytes, and which step gave the most of it.
create or replace function pgflow._too_large(what text, bytes bigint, largest text, largest_bytes bigint)
returns text
language sql stable
as $$
    select format(
        '%s would be %s bytes, of which step "%s" gave %s, but at most %s may be joined '
        '(PGFLOW["MAX_JOINED_BYTES"]). Store large data elsewhere and return references to it',
        what, bytes, largest, largest_bytes, pgflow._max_joined_bytes()
    )
$$;
