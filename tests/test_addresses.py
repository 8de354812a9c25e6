"""Which addresses and URLs may be contacted: promises N1 and N2, as far as no network is needed."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.util import parse_url

from pipeline.errors import BlockedAddress, ConfigError
from pipeline.web.addresses import is_public, literal, parse_allowed, refusal, shown, target

SPELLINGS = [
    line
    for line in (Path(__file__).parent / "data" / "loopback_spellings.txt").read_text().splitlines()
    if not line.startswith("#")
]

# The IANA special-purpose registries (rows not globally reachable, 2025), the multicast ones, and ::/96.
SPECIAL = tuple(
    """
    0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.0.0/29 192.0.0.8/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16
    198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 255.255.255.255/32
    ::1/128 ::/128 ::/96 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32
    2001:2::/48 2001:10::/28 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8
""".split()  # noqa: SIM905  # a table is read more easily
)

JUST_OUTSIDE = tuple(
    """
    1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255
    169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0
    192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
    223.255.255.255 2000:: 2001:200:: 2001:db7:ffff:: 2001:db9:: 2001:ffff:: 2003:: 3ffe:ffff:: 3fff:1000::
""".split()  # noqa: SIM905  # a table is read more easily
)


@pytest.mark.parametrize("block", SPECIAL)
def test_first_middle_and_last_address_of_every_special_block_are_refused(block):
    network = ip_network(block)
    places = (0, network.num_addresses // 2, network.num_addresses - 1)

    assert [is_public(network[place]) for place in places] == [False] * 3


REASONS = {
    "0.1.2.3": "this network, RFC 791",
    "10.0.0.1": "private use, RFC 1918",
    "100.64.0.1": "shared by a carrier's customers, RFC 6598",
    "127.0.0.1": "loopback, RFC 1122",
    "169.254.169.254": "link-local, RFC 3927",
    "172.16.0.1": "private use, RFC 1918",
    "192.0.0.1": "protocol assignments, RFC 6890",
    "192.0.2.1": "documentation, RFC 5737",
    "192.88.99.1": "6to4 relay, RFC 7526",
    "192.168.0.1": "private use, RFC 1918",
    "198.18.0.1": "benchmarking, RFC 2544",
    "198.51.100.1": "documentation, RFC 5737",
    "203.0.113.1": "documentation, RFC 5737",
    "224.0.0.1": "multicast, RFC 1112",
    "255.255.255.255": "broadcast, RFC 919",
    "240.0.0.1": "reserved, RFC 1112",
    "::": "unspecified, RFC 4291",
    "::1": "loopback, RFC 4291",
    "::127.0.0.1": "IPv4-compatible, RFC 4291",
    "::ffff:127.0.0.1": "IPv4-mapped, RFC 4291",
    "::ffff:0:127.0.0.1": "IPv4-translated, RFC 2765",
    "64:ff9b::127.0.0.1": "IPv4 behind NAT64, RFC 6052",
    "64:ff9b:1::127.0.0.1": "IPv4 behind NAT64, RFC 8215",
    "100::1": "discarded, RFC 6666",
    "100:0:0:1::1": "dummy prefix, RFC 9780",
    "2001::1": "Teredo, RFC 4380",
    "2001:2::1": "benchmarking, RFC 5180",
    "2001:10::1": "ORCHID, RFC 4843",
    "2001:1::1": "protocol assignments, RFC 2928",
    "2001:db8::1": "documentation, RFC 3849",
    "2002:7f00:1::": "6to4, RFC 3056",
    "3fff::1": "documentation, RFC 9637",
    "5f00::1": "segment routing, RFC 9602",
    "fd00::1": "unique local, RFC 4193",
    "fe80::1": "link-local, RFC 4291",
    "fec0::1": "site-local, RFC 3879",
    "ff02::1": "multicast, RFC 4291",
    "4000::1": "not global unicast, RFC 4291",
    "fe00::1": "not global unicast, RFC 4291",
}


@pytest.mark.parametrize("address", REASONS)
def test_a_refusal_says_what_the_address_is(address):
    """Whoever reads it has to find out who answered with such an address: its block is half the way."""
    assert refusal(ip_address(address)) == REASONS[address]


@pytest.mark.parametrize("address", JUST_OUTSIDE)
def test_the_neighbours_of_special_blocks_are_public(address):
    assert refusal(ip_address(address)) == ""


@given(st.ip_addresses())
def test_whatever_python_knows_to_be_private_is_refused(address):
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_no_disguise_of_an_ipv4_address_is_public(address):
    number = int(address)
    disguises = ["::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::"]

    assert not any(is_public(IPv6Address(int(IPv6Address(prefix)) + number)) for prefix in disguises)
    assert not is_public(IPv6Address((0x2002 << 112) + (number << 80)))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("0x", "0.0.0.0"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("1.2.772", "1.2.3.4"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("[::FFFF:127.0.0.1]", "::ffff:7f00:1"),
        ("127。0．0｡1", "127.0.0.1"),
        ("①②⑦.０.０.１", "127.0.0.1"),
    ],
)
def test_literals_are_read_in_every_spelling(host, address):
    assert literal(host) == ip_address(address)


@pytest.mark.parametrize(
    "host", ["", ".", "127..1", "256.1.1.1", "1.2.3.4.5", "4294967296", "lemonde.fr", "0y1", ":"]
)
def test_what_spells_no_address_is_no_literal(host):
    assert literal(host) is None


@given(
    st.lists(st.integers(0, 2**32), min_size=1, max_size=4),
    st.sampled_from(["{}", "{:#x}", "0{:o}", "{:#X}"]),
)
def test_literals_are_read_as_the_c_library_reads_them(numbers, spelling):
    host = ".".join(spelling.format(number) for number in numbers)
    try:
        expected = IPv4Address(socket.inet_aton(host))
    except OSError:
        expected = None

    assert literal(host) == expected


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_loopback_is_refused_for_its_address_before_its_port(spelling):
    """On port 80, so that it is not the port that saves us. Other names are the resolver's business."""
    url = spelling.format(port=80, hostname="machine.example")
    if url in {"http://machine.example:80/", "http://127.0.0.1.rebind.example:80/"}:
        assert target(url).address is None
        return

    with pytest.raises(BlockedAddress) as refused:
        target(url)
    assert refused.value.code == "blocked_address"
    assert "\n" not in str(refused.value)


def test_there_are_enough_spellings():
    assert len(set(SPELLINGS)) >= 42


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("http://www.journal.example", "http://www.journal.example/"),
        (" https://www.journal.example/une#fin ", "https://www.journal.example/une"),
        ("HTTPS://WWW.Journal.Example:443/Une", "https://www.journal.example/Une"),
        ("http://www.journal.example:443/", "http://www.journal.example:443/"),
        ("http://www.journal.example./?q", "http://www.journal.example/?q"),
        (
            "https://www.journal.example/été à?q=é è",
            "https://www.journal.example/%C3%A9t%C3%A9%20%C3%A0?q=%C3%A9%20%C3%A8",
        ),
        ("https://www.journal.example/%C3%A9%2F%zz", "https://www.journal.example/%C3%A9%2F%zz"),
        ("https://l'été.example/", None),
        ("https://été.example/", "https://xn--t-9fab.example/"),
        ("http://93.184.216.34/", "http://93.184.216.34/"),
        ("http://[2606:2800:220:1:0:0:0:1]/", "http://[2606:2800:220:1::1]/"),
        ("http://8.8.2056/", None),
        ("http://www.journal.example:8080/", None),
        ("http://www.journal.example:0/", None),
        ("http://www.journal.example:99999/", None),
        ("http://www.journal.example:８０/", None),
        ("http://www..example/", None),
        ("http://" + "a" * 64 + ".example/", None),
        ("http://www.journal.example/" + "a" * 8200, None),
        ("http://www.journal.example/a\nb", None),
        ("http://www.jour\tnal.example/", None),
        ("http:///une", None),
        ("", None),
    ],
)
def test_a_url_has_one_spelling_or_is_refused(url, clean):
    if clean is None:
        with pytest.raises(BlockedAddress):
            target(url)
    else:
        assert target(url).url == clean


HOSTILE = st.text(st.sampled_from("htps:/\\@#?[]%.0127xaé。１\t\n \u00ad\u200b&=-_"), max_size=40)


@given(st.one_of(HOSTILE, HOSTILE.map("http://".__add__), HOSTILE.map("http://a@".__add__), st.text()))
@example("httpſ://a.example/")
@example("http://127.0.0.1\u00ad/")
@example("http://a.example\\@127.0.0.1/")
def test_all_parsers_agree_on_the_host_of_what_is_let_through(url):
    try:
        found = target(url)
    except BlockedAddress:
        return

    assert target(found.url) == found
    parsed = parse_url(found.url)
    ports = {"http": 80, "https": 443}
    assert ((parsed.host or "").strip("[]"), parsed.auth) == (found.host, None)
    assert (parsed.port or ports[found.scheme], parsed.request_uri) == (found.port, found.path)
    split = urlsplit(found.url)
    assert (split.hostname, split.username, split.password) == (found.host, None, None)
    assert literal(found.host) is None or is_public(literal(found.host))


def test_only_the_listed_host_and_port_may_be_private():
    allowed = parse_allowed("press.localhost:8080, 127.0.0.1:80 [::1]:8080")

    for url in ("http://press.localhost:8080/", "http://127.0.0.1/", "http://127.1/", "http://[::1]:8080/"):
        assert target(url, allowed).allowed
    for url in (
        "http://press.localhost/",
        "http://press.localhost:8081/",
        "http://other.localhost:8080/",
        "http://127.0.0.1:8080/",
        "http://[::1]/",
        "https://127.0.0.1/",
    ):
        with pytest.raises(BlockedAddress):
            target(url, allowed)


def test_one_private_address_among_many_refuses_a_host():
    place = target("http://www.journal.example/")

    place.vet([ip_address("93.184.216.34")])
    with pytest.raises(BlockedAddress, match=r"leads to 10\.0\.0\.1"):
        place.vet(map(ip_address, ["93.184.216.34", "10.0.0.1"]))


def test_localhost_names_need_no_resolver():
    allowed = parse_allowed("a.localhost:1")

    assert target("http://a.localhost:1/", allowed).address == IPv4Address("127.0.0.1")


@pytest.mark.parametrize(
    "text", ["x", "x:", ":80", "x:0", "x:65536", "x:y", "http://x:80", "x:80:90", "user@x:80"]
)
def test_a_malformed_list_of_allowed_hosts_is_an_error_that_names_it(text):
    with pytest.raises(ConfigError, match="VEILLE_ALLOW_HOSTS"):
        parse_allowed(f"good.example:80,{text}")


def test_no_allowed_hosts_is_the_default():
    assert parse_allowed(" ") == parse_allowed("") == frozenset()


def test_messages_hide_passwords_and_control_characters():
    assert shown("http://moi:secret@www.journal.example/\nX") == "http://***@www.journal.example/ X"
    assert len(shown("http://www.journal.example/" + "a" * 10_000)) <= 201
    with pytest.raises(BlockedAddress, match="carries a user name or password") as refused:
        target("http://moi:secret@www.journal.example/")
    assert "secret" not in str(refused.value)
