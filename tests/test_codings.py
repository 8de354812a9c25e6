"""Content codings are undone in bounded steps."""

import gzip
import tracemalloc
import zlib

import hostile_server
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import TooLarge, Unparsable
from pipeline.web.codings import Decoder, coding

PACK = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}


def bare_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def decoded(name, chunks, cap=10**6):
    decoder = Decoder(name, cap)
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.body(), decoder.complete()


def pieces(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(st.sampled_from(sorted(PACK)), st.binary(max_size=5000), st.integers(1, 500), st.integers(0, 200_000))
def test_a_body_comes_out_as_it_went_in_however_it_is_cut(name, data, size, more):
    data += bytes(more)  # long runs give outputs far beyond one step

    assert decoded(name, pieces(PACK[name](data), size)) == (data, True)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(1, 200))
def test_gzip_members_are_read_one_after_another(parts, size):
    packed = b"".join(map(gzip.compress, parts))

    assert decoded("gzip", pieces(packed, size)) == (b"".join(parts), True)


@given(st.binary(max_size=3000), st.integers(1, 500))
def test_deflate_without_its_wrapper_is_understood(data, size):
    """Some servers send the bare stream (RFC 9110, 8.4.1.2)."""
    assert decoded("deflate", pieces(bare_deflate(data), size)) == (data, True)


@given(st.sampled_from(["gzip", "deflate"]), st.binary(min_size=1, max_size=3000), st.data())
def test_a_stream_that_stops_short_is_not_complete(name, data, draw):
    packed = PACK[name](data)
    cut = draw.draw(st.integers(1, len(packed) - 1))

    body, complete = decoded(name, [packed[:cut]])

    assert not complete
    assert data.startswith(body)


@given(st.sampled_from(sorted(PACK)), st.binary(max_size=3000), st.integers(0, 3000), st.integers(1, 500))
def test_nothing_is_held_beyond_the_cap(name, data, cap, size):
    decoder = Decoder(name, cap)
    try:
        for chunk in pieces(PACK[name](data), size):
            decoder.feed(chunk)
        assert len(data) <= cap
    except TooLarge:
        assert len(data) > cap
    assert decoder.body() == data[:cap]


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_a_bomb_in_one_chunk_takes_little_more_memory_than_the_cap(name):
    """1 GB in 1 MB, fed at once."""
    bomb = b"".join(hostile_server.bomb(10**9, name))
    decoder = Decoder(name, 10**6)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decoder.feed(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak <= 10**6 + 3 * len(bomb)  # zlib keeps what it has not read yet, and copies it


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_padding_after_the_last_member_is_ignored(size):
    packed = gzip.compress(b"bonjour") + b"\0" * 30 + b"\x1f rest"

    assert decoded("gzip", pieces(packed, size)) == (b"bonjour", True)


ONE = gzip.compress(b"bonjour")


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("gzip", ONE, True),
        ("gzip", gzip.compress(b""), True),
        ("gzip", ONE + gzip.compress(b""), False),
        ("gzip", ONE + b"\0", False),
        ("gzip", ONE[:-1], False),
        ("gzip", b"", False),
        ("deflate", zlib.compress(b"bonjour"), False),
        ("", ONE, False),
    ],
    ids=["one", "empty", "two", "padded", "cut", "nothing", "deflate", "plain"],
)
def test_what_is_one_gzip_member_and_nothing_more_is_told_from_the_rest(name, data, expected, size):
    """However it is cut."""
    decoder = Decoder(name, 100)
    for chunk in pieces(data, size):
        decoder.feed(chunk)

    assert decoder.one_member() is expected


def test_a_member_that_goes_beyond_the_cap_is_not_whole():
    decoder = Decoder("gzip", 3)
    with pytest.raises(TooLarge):
        decoder.feed(ONE)

    assert not decoder.one_member()


def test_an_empty_body_is_complete():
    assert decoded("gzip", []) == (b"", True)


@pytest.mark.parametrize("name", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "data", [b"<html>bonjour</html>", b"\x1f\x8bxxxxxxxxxxxxxxxxxx", b"x\x9cxxxxxxxxxxxxxxxxxx"]
)
def test_what_does_not_decode_is_unparsable(name, data):
    with pytest.raises(Unparsable, match="and is not"):
        decoded(name, [data * 10])


def test_a_damaged_stream_is_unparsable():
    packed = bytearray(gzip.compress(b"bonjour" * 100))
    packed[-6] ^= 1

    with pytest.raises(Unparsable):
        decoded("gzip", [bytes(packed)])


def test_a_flood_of_empty_members_is_refused():
    with pytest.raises(TooLarge, match="members"):
        decoded("gzip", [gzip.compress(b"") * 2000])


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([], ""),
        ([""], ""),
        (["identity"], ""),
        (["gzip"], "gzip"),
        (["GZip "], "gzip"),
        (["x-gzip"], "gzip"),
        (["identity, gzip"], "gzip"),
        (["deflate"], "deflate"),
        (["none"], ""),  # no coding, but sent
        (["UTF-8"], ""),
    ],
)
def test_one_coding_is_named(values, name):
    assert coding(values) == name


@pytest.mark.parametrize("values", [["gzip, gzip"], ["gzip", "deflate"], ["br"], ["zstd"], ["compress"]])
def test_several_and_unknown_codings_are_refused(values):
    with pytest.raises(Unparsable):
        coding(values)
