"""The archive keeps every exchange whole, whatever happens to its writers."""

import gzip
import io
import os
import random
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hostile_server import Server
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from pipeline.archive import Archive, Pointer, _records
from pipeline.errors import NotFound, Transient, Unparsable
from pipeline.web.fetch import Fetcher
from pipeline.web.responses import Response

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def exchange(
    body=b"<p>bonjour</p>", url="http://gazette.localhost/a?b=c#d", headers=(), raw=None, one_member=False
):
    return Response(
        url=url,
        status=200,
        reason="OK",
        version="1.1",
        headers=(("Content-Type", "text/html"), *headers),
        body=body,
        raw_body=body if raw is None else raw,
        request_headers=(("Host", "gazette.localhost"),),
        started_at=AT,
        elapsed=0.1,
        peer=("127.0.0.1", 80),
        one_member=one_member,
    )


def records(path):
    """All records of a file as any reader sees them: type, status or request line, body."""
    with path.open("rb") as file:
        return [
            (r.rec_type, r.http_headers.statusline, r.content_stream().read())
            for r in ArchiveIterator(file, check_digests="raise")
        ]


def bodies(path):
    return [body for kind, _, body in records(path) if kind == "response"]


def test_what_was_written_is_read_again(tmp_path):
    """Headers and body come back, the content coding undone."""
    archive = Archive(tmp_path)
    raw = gzip.compress(b"un texte")
    coded = exchange(b"un texte", headers=[("Content-Encoding", "gzip")], raw=raw, one_member=True)
    [pointer] = archive.append([coded])

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
    assert bodies(path)[-1] == b"later"


def written(folder, count=6):
    """A closed file of the archive: its path, and where its records lie."""
    archive = Archive(folder)
    pointers = [archive.append([exchange(os.urandom(500))])[0] for _ in range(count)]
    archive.close()
    return folder / pointers[0].file, pointers


def flip(path, offset):
    with path.open("r+b") as file:
        file.seek(offset)
        [byte] = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 0xFF]))


@pytest.mark.parametrize("broken", [0, 2, 5])
def test_whole_records_behind_damage_are_never_cut(tmp_path, caplog, broken):
    """A file with a broken record in it is left as it is, and named; what is new goes to the next file."""
    path, pointers = written(tmp_path)
    flip(path, pointers[broken].offset + 100)
    found = path.read_bytes()

    [later] = Archive(tmp_path).append([exchange(b"later")])

    assert path.read_bytes() == found
    assert later.file.endswith("-0001.warc.gz")
    assert [record.file for record in caplog.records] == [str(path)]
    archive = Archive(tmp_path)
    assert all(len(archive.read(p)[1]) == 500 for p in (*pointers[:broken], *pointers[broken + 1 :]))


@pytest.mark.parametrize(
    "tail",
    [
        bytes(5000),
        b"\x1f",
        b"\x1f\x8b\x08" * 100,
        random.Random(1).randbytes(5000),
        _records(exchange(b"torn" * 9))[0][:-9] + bytes(4096),
        gzip.compress(b"WARC/1.1" + gzip.compress(b"a page"), 0)[:-1],
    ],
    ids=["zeros", "one byte", "magic numbers", "noise", "torn, then zeros", "torn, a gzipped page inside"],
)
def test_what_a_power_cut_leaves_at_the_end_is_cut(tmp_path, caplog, tail):
    """Whatever stands behind the last whole record and is none goes, and the file goes on."""
    path, pointers = written(tmp_path)
    found = path.read_bytes()
    path.write_bytes(found + tail)

    [later] = Archive(tmp_path).append([exchange(b"later")])

    assert (later.file, later.offset) == (pointers[0].file, len(found))
    assert bodies(path)[-1] == b"later"
    assert not caplog.records


def test_a_large_file_is_neither_read_nor_written(tmp_path):
    """What is opened is small, since it is read whole: a file of more than 32 MB is left for the next one."""
    path, _ = written(tmp_path)
    os.truncate(path, 33 << 20)

    [later] = Archive(tmp_path).append([exchange(b"later")])

    assert later.file.endswith("-0001.warc.gz")
    assert path.stat().st_size == 33 << 20


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

    assert bodies(tmp_path / pointer.file) == [b"one", b"three"]


def test_writers_never_share_a_file(tmp_path):
    """Two open archives on one folder write to two files, and both read back whole."""
    one, two = Archive(tmp_path), Archive(tmp_path)
    [a] = one.append([exchange(b"a")])
    [b] = two.append([exchange(b"b")])

    assert a.file != b.file
    assert (one.read(b)[1], two.read(a)[1]) == (b"b", b"a")


def test_many_threads_write_and_every_pointer_leads_to_its_record(tmp_path):
    archive = Archive(tmp_path)
    pages = [f"page {n} ".encode() * 500 for n in range(200)]

    with ThreadPoolExecutor(8) as pool:
        pointers = list(pool.map(lambda body: archive.append([exchange(body)])[0], pages))

    assert [archive.read(pointer)[1] for pointer in pointers] == pages


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(NotFound, match="no 2020-01-01/x"):
        Archive(tmp_path).read(Pointer("2020-01-01/x.warc.gz", 0, 10))


@pytest.mark.parametrize("cut", [1, 200, 10_000])
def test_a_record_that_was_cut_is_not_read_as_a_shorter_page(tmp_path, cut):
    archive = Archive(tmp_path)
    [pointer] = archive.append([exchange(random.Random(1).randbytes(4000))])
    path = tmp_path / pointer.file
    os.truncate(path, max(0, pointer.length - cut))

    with pytest.raises(NotFound, match=f"{pointer.file} ends before the record at 0 does"):
        archive.read(pointer)


@pytest.mark.parametrize("coded", [False, True])
def test_no_damage_goes_unseen(tmp_path, coded):
    """Whichever byte of a record is wrong, it is read as it was written or the error names the place."""
    path, [place] = written(tmp_path, count=1)
    if coded:
        raw = gzip.compress(os.urandom(500))
        gzipped = exchange(b"", headers=[("Content-Encoding", "gzip")], raw=raw, one_member=True)
        [place] = Archive(tmp_path).append([gzipped])
    archive = Archive(tmp_path)
    kept = archive.read(place)
    seen = set()
    for offset in range(place.offset, place.offset + place.length):
        flip(path, offset)
        try:
            assert archive.read(place) == kept
        except Unparsable as error:
            seen.add((offset, str(error)))
        flip(path, offset)

    header = range(4, 10)  # gzip's date, level and system, which say nothing of the record
    assert seen == {
        (place.offset + n, f"the archive's {place.file} is damaged at {place.offset}")
        for n in range(place.length)
        if n not in header
    }


@pytest.mark.parametrize(
    "stored",
    [b"", gzip.compress(b""), gzip.compress(b"no WARC\r\n"), b"noise", bytes(9)],
    ids=["nothing", "empty", "another format", "noise", "zeros"],
)
def test_what_is_no_record_is_not_read(tmp_path, stored):
    (tmp_path / "x").write_bytes(stored)

    with pytest.raises(Unparsable, match=r"x (is damaged|holds no record) at 0"):
        Archive(tmp_path).read(Pointer("x", 0, len(stored)))


def test_a_new_file_and_its_day_are_on_the_disk_before_a_row_points_to_them(tmp_path, monkeypatch):
    """The names of a new file and of its folder are flushed after they are made, and only then."""
    flushed = []

    def fsync(fd):
        folder = Path(f"/proc/self/fd/{fd}").readlink()
        flushed.append((folder, {path.name for path in folder.iterdir()}))
        real(fd)

    real = os.fsync
    monkeypatch.setattr(os, "fsync", fsync)
    archive = Archive(tmp_path / "archive")
    [pointer] = archive.append([exchange()])
    archive.append([exchange()])
    archive.close()
    Archive(tmp_path / "archive").append([exchange()])

    day, name = pointer.file.split("/")
    assert flushed == [(tmp_path / "archive" / day, {name}), (tmp_path / "archive", {day})]


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Transient, match="cannot be written"):
        Archive(tmp_path / "file").append([exchange()])


def chunked(body):
    return (
        b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9], body[9:]) if part) + b"0\r\n\r\n"
    )


def bare_deflate(body):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PAGE = b"bad\r\n<p>L'" + "été".encode() + b" commence.</p>" * 400  # "bad" reads like the length of a chunk
ANSWERS = {
    "length": lambda talk: talk.answer("200 OK", PAGE),
    "close": lambda talk: (talk.head_only(), talk.send(PAGE)),
    "chunks": lambda talk: (talk.head_only("transfer-encoding: Chunked"), talk.send(chunked(PAGE))),
    "gzip": lambda talk: talk.answer("200 OK", gzip.compress(PAGE), "Content-Encoding: gzip"),
    "gzip in chunks": lambda talk: (
        talk.head_only("Transfer-Encoding: chunked", "Content-Encoding: GZIP"),
        talk.send(chunked(gzip.compress(PAGE))),
    ),
    "x-gzip": lambda talk: talk.answer("200 OK", gzip.compress(PAGE), "Content-Encoding: x-gzip"),
    "identity and gzip": lambda talk: talk.answer(
        "200 OK", gzip.compress(PAGE), "Content-Encoding: identity, gzip"
    ),
    "two members": lambda talk: talk.answer(
        "200 OK", gzip.compress(PAGE[:100]) + gzip.compress(PAGE[100:]), "Content-Encoding: gzip"
    ),
    "padding": lambda talk: talk.answer("200 OK", gzip.compress(PAGE) + bytes(99), "Content-Encoding: gzip"),
    "deflate": lambda talk: talk.answer("200 OK", zlib.compress(PAGE), "Content-Encoding: deflate"),
    "bare deflate": lambda talk: talk.answer("200 OK", bare_deflate(PAGE), "Content-Encoding: deflate"),
    "identity": lambda talk: talk.answer("200 OK", PAGE, "Content-Encoding: identity"),
    "empty": lambda talk: talk.answer("200 OK", b"", "Content-Encoding: gzip"),
    "old": lambda talk: talk.send(b"HTTP/1.0 200 OK\r\n\r\n" + PAGE),
    "unheard of": lambda talk: talk.send(b"HTTP/2.0 200 OK\r\n\r\n" + PAGE),
    "redirects": lambda talk: talk.answer(
        "301 D\xe9m\xe9nag\xe9", b"", "Location: /length?\xc3\xa9t\xc3\xa9"
    ),
    "redirects in chunks": lambda talk: (
        talk.head_only("Location: /length?2", "Transfer-Encoding: chunked", status="302 Found"),
        talk.send(chunked(PAGE)),
    ),
    "redirects and breaks off": lambda talk: (
        talk.head_only("Location: /length?3", "Content-Length: 99999", status="302 Found"),
        talk.send(PAGE),
    ),
}


def served(conversation):
    ANSWERS[conversation.path.strip("/").partition("?")[0].replace("%20", " ")](conversation)


@pytest.mark.slow
def test_any_reader_can_replay_every_record(tmp_path):
    """Whatever framing and coding a server used, warcio reads from the file what the fetcher read, and the
    header says what is stored; redirects included.
    """
    archive = Archive(tmp_path)
    with Server(served) as server, Fetcher(allow_hosts=server.at(), user_agent="Veille") as fetch:
        chains = [fetch.follow(server.url(f"/{name}"), cap=99_999, admit=str) for name in ANSWERS]
    exchanges = [answer for chain in chains for answer in (*chain.hops, chain.response)]
    pointers = [place for chain in chains for place in archive.append([*chain.hops, chain.response])]

    assert [len(chain.hops) for chain in chains] == [name.startswith("redirects") for name in ANSWERS]
    [path] = {tmp_path / pointer.file for pointer in pointers}
    with path.open("rb") as file:
        for record, answer in zip(_responses(file), exchanges, strict=True):
            raw = record.raw_stream.read()
            assert record.http_headers.get_header("Content-Length") == str(len(raw))
            assert record.http_headers.get_header("Transfer-Encoding") is None
            assert record.http_headers.protocol == ("HTTP/1.0" if answer.version == "1.0" else "HTTP/1.1")
    assert bodies(path) == [answer.body for answer in exchanges]
    assert [archive.read(pointer)[1] for pointer in pointers] == [answer.body for answer in exchanges]


def _responses(file):
    return (record for record in ArchiveIterator(file) if record.rec_type == "response")


def test_a_body_is_kept_as_received_where_readers_undo_its_coding(tmp_path):
    """A gzipped page is not unpacked, and what the server said of its framing can still be read."""
    archive = Archive(tmp_path)
    raw = gzip.compress(PAGE)
    said = [("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked")]
    [pointer] = archive.append([exchange(PAGE, headers=said, raw=raw, one_member=True)])

    with (tmp_path / pointer.file).open("rb") as file:
        record = next(_responses(file))
        assert record.raw_stream.read() == raw
    assert record.http_headers.headers == [
        ("Content-Type", "text/html"),
        ("Content-Encoding", "gzip"),
        ("X-Crawler-Transfer-Encoding", "chunked"),
        ("Content-Length", str(len(raw))),
    ]


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")))
def test_headers_are_kept_to_the_byte(value):
    """A header's bytes come back as they were sent, in whatever encoding that was."""
    record, _ = _records(exchange(headers=[("X-Titre", value)]))

    assert f"\r\nX-Titre: {value}\r\n".encode("latin-1") in gzip.decompress(record)


def test_records_are_standard_warc(tmp_path):
    """Any WARC reader reads the file from its start."""
    archive = Archive(tmp_path)
    pointers = archive.append([exchange(b"1"), exchange(b"2")])

    raw = (tmp_path / pointers[0].file).read_bytes()
    kinds = [r.rec_type for r in ArchiveIterator(io.BytesIO(raw), check_digests="raise")]

    assert kinds == ["response", "request", "response", "request"]
