-- name: feeds
-- Of the feeds that the catalogue names; those that were never stored are in none of these counts.
select count(*) filter (where not_before > %(now)s) as resting, count(*) filter (where failures > 0) as failing,
    count(*) filter (where polled_at >= %(late)s) as punctual
from feed where url = any(%(urls)s)

-- name: outcomes
select coalesce(outcome, 'waiting') as name, count(*) as n from entry group by 1

-- name: stages
select stage as name, count(*) as n from entry where stage <> 'done' group by stage

-- name: oldest_waiting
select min(discovered_at) as oldest from entry where outcome is null

-- name: articles
select count(*) filter (where indexed) as indexed, count(*) filter (where copy_of is not null) as copies
from article where merged_into is null

-- name: seconds
select step, sum(seconds) as seconds from timing group by step order by step
