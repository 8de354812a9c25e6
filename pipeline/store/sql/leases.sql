-- name: new_token
select nextval('lease_token') as token

-- name: renew
-- Rows that a writer has locked are passed over: they are about to be given back, and waiting could deadlock.
with hosts as (
    update host set lease_until = clock_timestamp() + make_interval(secs => %(seconds)s)
    where name in (select name from host where lease_token = any(%(tokens)s) for update skip locked)
), documents as (
    update outbox set lease_until = clock_timestamp() + make_interval(secs => %(seconds)s)
    where article_id in (select article_id from outbox where lease_token = any(%(tokens)s) for update skip locked)
)
update entry set lease_until = clock_timestamp() + make_interval(secs => %(seconds)s)
where id in (select id from entry where lease_token = any(%(tokens)s) for update skip locked)

-- name: release
with hosts as (
    update host set lease_token = null, lease_until = null where lease_token = %(token)s
), documents as (
    update outbox set lease_token = null, lease_until = null where lease_token = %(token)s
)
update entry set lease_token = null, lease_until = null where lease_token = %(token)s
