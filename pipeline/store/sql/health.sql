-- name: server
select current_setting('server_version') as version, current_setting('server_encoding') as encoding,
    pg_database_size(current_database()) as size, clock_timestamp() as now

-- name: newest
select greatest((select max(started_at) from run), (select max(polled_at) from feed)) as at

-- name: last_page
select archive_file as file, archive_offset as "offset", archive_length as length
from page where archive_file is not null order by id desc limit 1
