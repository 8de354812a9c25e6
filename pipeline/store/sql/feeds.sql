-- name: sync
insert into feed (url, publisher, section, host)
select url, publisher, section, host
from unnest(%(urls)s::text[], %(publishers)s::text[], %(sections)s::text[], %(hosts)s::text[])
    as named (url, publisher, section, host)
order by url collate "C"  -- so that two cannot wait for each other in a circle
on conflict (url) do update set publisher = excluded.publisher, section = excluded.section, host = excluded.host
where (feed.publisher, feed.section, feed.host) is distinct from (excluded.publisher, excluded.section, excluded.host)

-- name: know
insert into feed (url, publisher, section, host) values (%(url)s, %(publisher)s, %(section)s, %(host)s)
on conflict (url) do nothing

-- name: by_url
select * from feed where url = %(url)s

-- name: lock
select * from feed where id = %(id)s for update

-- name: due
-- Feeds that this run has no answer from and that are not left in peace after failures.
select * from feed
where url = any(%(urls)s) and not_before <= %(now)s
  and not exists (select from poll where poll.feed_id = feed.id and run_id = %(run)s
                  and result in ('changed', 'unchanged', 'no_feed'))
order by host, url

-- name: polled
update feed set polled_at = greatest(polled_at, %(at)s), error = '', failures = 0, not_before = %(at)s
where id = %(id)s and (polled_at is null or polled_at <= %(at)s)  -- an older capture that is imported says nothing

-- name: quiet
-- A polling that brought no entries, unless the run has got an answer from the feed meanwhile.
with due as (
    select id from feed
    where id = %(feed_id)s and not_before <= %(at)s
      and not exists (select from poll where poll.feed_id = feed.id and run_id = %(run)s
                      and result in ('changed', 'unchanged', 'no_feed'))
), polled as (
    update feed set polled_at = greatest(polled_at, %(asked_at)s), error = %(error)s, failures = %(failures)s,
        not_before = %(not_before)s
    from due where feed.id = due.id and (polled_at is null or polled_at <= %(at)s)
)
insert into poll (feed_id, run_id, at, result, status, error)
select id, %(run)s, %(at)s, %(result)s, %(status)s::int, %(error)s from due

-- name: note_resting
-- Feeds that the run does not ask, as they are left in peace: the report is to name them.
insert into poll (feed_id, run_id, at, result, error)
select id, %(run)s, %(now)s, 'waiting', 'left in peace until ' || to_char(not_before at time zone 'Europe/Paris', 'DD/MM HH24:MI')
    || ' after ' || failures || ' failures: ' || error
from feed
where url = any(%(urls)s) and not_before > %(now)s
  and not exists (select from poll where poll.feed_id = feed.id and run_id = %(run)s)

-- name: changed
update feed set etag = %(etag)s, last_modified = %(last_modified)s, digest = %(digest)s, changed_at = %(at)s
where id = %(id)s and (changed_at is null or changed_at <= %(at)s)

-- name: add_poll
insert into poll (feed_id, run_id, at, result, status, error, format, broken, without_link, truncated, items,
    archive_file, archive_offset, archive_length, entry_ids)
values (%(feed_id)s, %(run)s, %(at)s, %(result)s, %(status)s, %(error)s, %(format)s, %(broken)s,
    %(without_link)s, %(truncated)s, %(items)s, %(archive_file)s, %(archive_offset)s, %(archive_length)s,
    %(entry_ids)s)

-- name: add_entries
-- Sorted, as `documents.take` sorts, so that two with the same links cannot wait for each other in a circle.
insert into entry (canonical_url, url, host, publisher, run_id, discovered_at, stage, due_at, priority)
select canonical_url, url, host, publisher, %(run)s, %(at)s, 'fetch', %(at)s, %(priority)s
from unnest(%(canonical_urls)s::text[], %(urls)s::text[], %(hosts)s::text[], %(publishers)s::text[])
    as seen (canonical_url, url, host, publisher)
order by canonical_url collate "C"
on conflict (canonical_url) do nothing
returning host

-- name: entry_ids
select id, canonical_url from entry where canonical_url = any(%(urls)s)

-- name: add_hosts
insert into host (name) select distinct unnest(%(hosts)s::text[]) collate "C" order by 1 on conflict do nothing

-- name: sight
-- What the feed says now. Answers of which entries it says something else than before; an older capture changes
-- nothing.
with said as (
    select * from jsonb_to_recordset(%(said)s::jsonb) as said (entry_id bigint, guid text, title text, summary text,
        authors jsonb, published timestamptz, updated timestamptz)
), now as (
    insert into sighting (entry_id, feed_id, guid, title, summary, authors, language, published, updated,
        first_at, last_at)
    select entry_id, %(feed)s, guid, title, summary, array(select jsonb_array_elements_text(authors)), %(language)s,
        published, updated, %(at)s, %(at)s
    from said
    on conflict (entry_id, feed_id) do update set guid = excluded.guid, title = excluded.title,
        summary = excluded.summary, authors = excluded.authors, language = excluded.language,
        published = excluded.published, updated = excluded.updated, last_at = excluded.last_at
    where sighting.last_at <= excluded.last_at
)
select entry_id from said join sighting before using (entry_id)
where feed_id = %(feed)s and last_at <= %(at)s
  and (before.title, before.summary, before.updated) is distinct from (said.title, said.summary, said.updated)

-- name: announce
-- What is done falls due to be read again. What is under way shows at its end that this came in between.
update entry set announced = announced + 1,
    due_at = case when stage = 'done' then %(at)s else due_at end,
    priority = case when stage = 'done' then 2 else priority end,
    reason = case when stage = 'done' then 'the feed changed what it says' else reason end
where id in (select id from entry where id = any(%(ids)s) order by id for no key update)

-- name: silent
select url, publisher, polled_at, changed_at, failures, error, not_before from feed
where url = any(%(urls)s) and (failures > 0 or changed_at is null or changed_at < %(since)s)
order by publisher, url

-- name: strangers
-- Feeds that were asked of late and that the catalogue does not name; imported ones belong to no publisher.
select url from feed where polled_at >= %(since)s and publisher <> '' and url <> all(%(urls)s)
order by polled_at desc, url
