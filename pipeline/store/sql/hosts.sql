-- name: add
insert into host (name) values (%(host)s) on conflict do nothing

-- name: claim_with_entries
-- The free host of this shard that may be asked soonest and has entries due.
update host set lease_token = %(token)s, lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
where name = (
    select name from host
    where (lease_until is null or lease_until < clock_timestamp())
      and mod(hashtext(name)::bigint + 2147483648, %(shards)s) = %(shard)s
      and exists (
          select from entry where entry.host = host.name and stage in ('fetch', 'done') and due_at <= %(now)s
          and (entry.lease_until is null or entry.lease_until < clock_timestamp()))
    order by next_at, name
    limit 1
    for update skip locked)
returning name

-- name: claim
update host set lease_token = %(token)s, lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
where name = %(host)s and (lease_until is null or lease_until < clock_timestamp() or lease_token = %(token)s)
returning name

-- name: give_back
update host set lease_token = null, lease_until = null where name = %(host)s and lease_token = %(token)s

-- name: take_turn
-- A request is about to be made, if it may be made now; else in how many seconds. No row: the lease is lost.
with taken as (
    update host set next_at = clock_timestamp() + make_interval(secs => %(gap)s)
    where name = %(host)s and lease_token = %(token)s and next_at <= clock_timestamp() returning name
)
select exists (select from taken) as taken,
    greatest(0, extract(epoch from next_at - clock_timestamp()))::float8 as seconds
from host where name = %(host)s and lease_token = %(token)s

-- name: asked
-- A request was made: the next one comes `gap` seconds later at the earliest.
update host set next_at = greatest(next_at, clock_timestamp() + make_interval(secs => %(gap)s))
where name = %(host)s and lease_token = %(token)s

-- name: pause
update host set next_at = greatest(next_at, clock_timestamp() + make_interval(secs => %(seconds)s))
where name = %(host)s

-- name: robots
select robots_status, robots_body, robots_at, robots_failing_since from host where name = %(host)s

-- name: save_robots
update host set robots_status = %(status)s, robots_body = %(body)s, robots_at = %(now)s,
    crawl_delay = %(crawl_delay)s,
    robots_failing_since = case when %(readable)s then null else coalesce(robots_failing_since, %(now)s) end
where name = %(host)s
