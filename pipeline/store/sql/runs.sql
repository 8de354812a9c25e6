-- name: start
insert into run (id, kind, started_at, interval_start, interval_end, polls, reason)
values (%(id)s, %(kind)s, %(now)s, %(interval_start)s, %(interval_end)s, %(polls)s, %(reason)s)
on conflict (id) do nothing

-- name: add_seconds
insert into timing (run_id, step, seconds) values (%(id)s, %(step)s, %(seconds)s)
on conflict (run_id, step) do update set seconds = timing.seconds + excluded.seconds

-- name: timings
select step, sum(seconds) as seconds from timing where run_id = any(%(ids)s) group by step

-- name: finish
update run set finished_at = %(now)s where id = %(id)s

-- name: get
select * from run where id = %(id)s

-- name: numbered
select * from run where number = %(number)s

-- name: newest
select * from run order by started_at desc, id desc limit 1

-- name: recent
select run.*, (select count(*) from entry where run_id = run.id) as discovered,
    (select count(*) from entry where run_id = run.id and outcome is null) as waiting
from run order by started_at desc, id desc limit %(limit)s

-- name: one_moment
set transaction isolation level repeatable read, read only

-- name: discovered
select count(*) as n from entry where run_id = any(%(ids)s)

-- name: outcomes
select outcome, page_fate, count(*) as n from entry where run_id = any(%(ids)s) group by outcome, page_fate

-- name: waiting
select stage, reason, count(*) as n, min(due_at) as next from entry
where run_id = any(%(ids)s) and outcome is null group by stage, reason order by n desc

-- name: read_again
select coalesce(page.outcome, 'waiting') as outcome, count(*) as n
from page join entry on entry.id = page.entry_id
where page.run_id = any(%(ids)s)
  and exists (select from page earlier where earlier.entry_id = page.entry_id and earlier.id < page.id)
group by 1

-- name: already_known
-- Entries that the run's feeds held and that an earlier run had discovered.
select count(distinct held) as n from poll, unnest(entry_ids) as held
where poll.run_id = any(%(ids)s) and exists (select from entry where entry.id = held and not run_id = any(%(ids)s))

-- name: polls
select result, count(*) as n, sum(items) as items, sum(without_link) as without_link, sum(truncated) as truncated
from poll where run_id = any(%(ids)s) group by result

-- name: feed_trouble
select feed.url, poll.result, poll.error, poll.broken, poll.without_link, poll.truncated
from poll join feed on feed.id = poll.feed_id
where run_id = any(%(ids)s)
  and (poll.error <> '' or poll.broken <> '' or poll.without_link > 0 or poll.truncated > 0)
order by feed.url

-- name: slow_hosts
-- Hosts of the run's feeds and pages that ask for a longer gap between requests than they are given.
select name, crawl_delay from host
where crawl_delay > %(crawl_delay)s and (
    exists (select from poll join feed on feed.id = feed_id where run_id = any(%(ids)s) and feed.host = name)
    or exists (select from entry where run_id = any(%(ids)s) and entry.host = name)
    or exists (select from page join entry on entry.id = entry_id where page.run_id = any(%(ids)s) and entry.host = name))
order by name

-- name: failures
-- What deserves a look, pages that were not read among them: what could be tried again comes first.
select entry.id, entry.url, entry.outcome, page_fate, coalesce(nullif(entry.reason, ''), page.reason) as reason,
    stage = 'done' and attempts > 0 and due_at is null as gave_up
from entry left join page on page.id = page_id
where entry.run_id = any(%(ids)s) and entry.outcome is distinct from 'not_french'
  and (entry.outcome = 'failed' or entry.reason <> '' or page.fate not in ('full', 'teaser') and page.reason <> '')
order by entry.outcome = 'failed' desc nulls last, page_fate = 'gone', entry.outcome, entry.url limit %(limit)s
