"""The archive keeps every exchange whole, whatever happens to its writers."""

import gzip
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from warcio.archiveiterator import ArchiveIterator

from pipeline.archive import Archive, Pointer
from pipeline.errors import NotFound, Transient
from pipeline.responses import Response

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def exchange(body=b"<p>bonjour</p>", url="http://gazette.localhost/a?b=c#d", headers=()):
    return Response(
        url=url,
        status=200,
        reason="OK",
        version="1.1",
        headers=(("Content-Type", "text/html"), *headers),
        body=b"",
        raw_body=body,
        request_headers=(("Host", "gazette.localhost"),),
        started_at=AT,
        elapsed=0.1,
        peer=("127.0.0.1", 80),
    )


def records(path):
    with path.open("rb") as file:
        return [(r.rec_type, r.content_stream().read()) for r in ArchiveIterator(file)]


def test_what_was_written_is_read_again(tmp_path):
    """Headers and body come back, the content coding undone."""
    archive = Archive(tmp_path)
    [pointer] = archive.append([exchange(gzip.compress(b"un texte"), headers=[("Content-Encoding", "gzip")])])

    headers, body = archive.read(pointer)

    assert body == b"un texte"
    assert ("Content-Encoding", "gzip") in headers


def test_request_and_response_are_both_kept(tmp_path):
    """Each exchange is a response record and the request that names it."""
    archive = Archive(tmp_path)
    [pointer] = archive.append([exchange()])

    with (tmp_path / pointer.file).open("rb") as file:
        response, request = [(r.rec_headers, r.http_headers, r.rec_type) for r in ArchiveIterator(file)]
    assert (response[2], request[2]) == ("response", "request")
    assert request[0].get_header("WARC-Concurrent-To") == response[0].get_header("WARC-Record-ID")
    assert request[1].statusline == "/a?b=c HTTP/1.1"


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_torn_tail_is_cut_back_to_the_last_whole_record(tmp_path, cut):
    """What a crash left half written neither hides the earlier records nor the later ones."""
    first = Archive(tmp_path)
    [kept] = first.append([exchange(b"kept")])
    first.append([exchange(os.urandom(500))])
    first.close()
    path = tmp_path / kept.file
    os.truncate(path, path.stat().st_size - cut)

    second = Archive(tmp_path)
    [later] = second.append([exchange(b"later")])

    assert second.read(kept)[1] == b"kept"
    assert second.read(later)[1] == b"later"
    assert later.file == kept.file
    assert [body for kind, body in records(path) if kind == "response"][-1] == b"later"


def test_a_process_killed_inside_a_write_leaves_a_file_that_goes_on(tmp_path):
    """The record of the killed write is gone, the next one follows the last whole record."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests');"
        "from pipeline.archive import Archive; from test_archive import exchange;"
        "a = Archive(Path(sys.argv[1])); a.append([exchange(b'one')]); a.append([exchange(b'two')])"
    )
    env = os.environ | {"VEILLE_FAILPOINT": "inside_archive_write#2"}
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=env, check=False)
    assert killed.returncode == -9

    archive = Archive(tmp_path)
    [pointer] = archive.append([exchange(b"three")])

    bodies = [body for kind, body in records(tmp_path / pointer.file) if kind == "response"]
    assert bodies == [b"one", b"three"]


def test_writers_never_share_a_file(tmp_path):
    """Two open archives on one folder write to two files, and both read back whole."""
    one, two = Archive(tmp_path), Archive(tmp_path)
    [a] = one.append([exchange(b"a")])
    [b] = two.append([exchange(b"b")])

    assert a.file != b.file
    assert (one.read(b)[1], two.read(a)[1]) == (b"b", b"a")


def test_many_threads_write_and_every_pointer_leads_to_its_record(tmp_path):
    archive = Archive(tmp_path)
    bodies = [f"page {n} ".encode() * 500 for n in range(200)]

    with ThreadPoolExecutor(8) as pool:
        pointers = list(pool.map(lambda body: archive.append([exchange(body)])[0], bodies))

    assert [archive.read(pointer)[1] for pointer in pointers] == bodies


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(NotFound, match="no 2020-01-01/x"):
        Archive(tmp_path).read(Pointer("2020-01-01/x.warc.gz", 0, 10))


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Transient, match="cannot be written"):
        Archive(tmp_path / "file").append([exchange()])


def test_records_are_standard_warc(tmp_path):
    """Any WARC reader reads the file from its start."""
    archive = Archive(tmp_path)
    pointers = archive.append([exchange(b"1"), exchange(b"2")])

    raw = (tmp_path / pointers[0].file).read_bytes()
    kinds = [r.rec_type for r in ArchiveIterator(io.BytesIO(raw), check_digests="raise")]

    assert kinds == ["response", "request", "response", "request"]
