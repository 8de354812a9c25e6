"""Which URLs and network addresses may be contacted. *Pure.*

Judges spellings and numbers only: it resolves no name and opens no connection. `fetch` does, and asks here.
"""

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from urllib.parse import quote

from pipeline.errors import BlockedAddress, ConfigError

Address = IPv4Address | IPv6Address

# The rows of the IANA special-purpose registries that are not globally reachable, the multicast blocks, and
# the blocks through which an IPv4 address is reached in disguise. Reachable rows inside a refused one
# (192.0.0.9/32, 2001:20::/28 …) are refused with it: they serve protocols, never pages.
_BLOCKS = tuple(
    (ip_network(block), purpose, source)
    for block, purpose, source in (
        ("0.0.0.0/8", "this network", "RFC 791"),
        ("10.0.0.0/8", "private use", "RFC 1918"),
        ("100.64.0.0/10", "shared by a carrier's customers", "RFC 6598"),
        ("127.0.0.0/8", "loopback", "RFC 1122"),
        ("169.254.0.0/16", "link-local", "RFC 3927"),
        ("172.16.0.0/12", "private use", "RFC 1918"),
        ("192.0.0.0/24", "protocol assignments", "RFC 6890"),
        ("192.0.2.0/24", "documentation", "RFC 5737"),
        ("192.88.99.0/24", "6to4 relay", "RFC 7526"),
        ("192.168.0.0/16", "private use", "RFC 1918"),
        ("198.18.0.0/15", "benchmarking", "RFC 2544"),
        ("198.51.100.0/24", "documentation", "RFC 5737"),
        ("203.0.113.0/24", "documentation", "RFC 5737"),
        ("224.0.0.0/4", "multicast", "RFC 1112"),
        ("255.255.255.255/32", "broadcast", "RFC 919"),
        ("240.0.0.0/4", "reserved", "RFC 1112"),
        ("::/128", "unspecified", "RFC 4291"),
        ("::1/128", "loopback", "RFC 4291"),
        ("::/96", "IPv4-compatible", "RFC 4291"),
        ("::ffff:0:0/96", "IPv4-mapped", "RFC 4291"),
        ("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765"),
        ("64:ff9b::/96", "IPv4 behind NAT64", "RFC 6052"),
        ("64:ff9b:1::/48", "IPv4 behind NAT64", "RFC 8215"),
        ("100::/64", "discarded", "RFC 6666"),
        ("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
        ("2001::/32", "Teredo", "RFC 4380"),
        ("2001:2::/48", "benchmarking", "RFC 5180"),
        ("2001:10::/28", "ORCHID", "RFC 4843"),
        ("2001::/23", "protocol assignments", "RFC 2928"),
        ("2001:db8::/32", "documentation", "RFC 3849"),
        ("2002::/16", "6to4", "RFC 3056"),
        ("3fff::/20", "documentation", "RFC 9637"),
        ("5f00::/16", "segment routing", "RFC 9602"),
        ("fc00::/7", "unique local", "RFC 4193"),
        ("fe80::/10", "link-local", "RFC 4291"),
        ("fec0::/10", "site-local", "RFC 3879"),
        ("ff00::/8", "multicast", "RFC 4291"),
    )
)
# All that IANA has handed out for global unicast. What lies outside is routed by nobody but private overlays.
_GLOBAL_UNICAST = ip_network("2000::/3")

_WEB_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65_535
_MAX_URL = 8_190  # Apache's LimitRequestLine; nginx stops at 8 192
_SHOWN = 200  # characters of a URL in a message
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#\\]*)(?P<path>[^?#]*)(?P<query>[^#]*)", re.IGNORECASE | re.ASCII
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{0,5}))?")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_USERINFO = re.compile(r"//[^/?#]*@")


def refusal(address: Address) -> str:
    """Why `address` must not be contacted, in a few words; empty if it is an ordinary public one."""
    for network, purpose, source in _BLOCKS:
        if address in network:
            return f"{purpose}, {source}"
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "not global unicast, RFC 4291"
    return ""


def is_public(address: Address) -> bool:
    """Whether `address` is one that anybody on the Internet can reach."""
    return not refusal(address)


def literal(host: str) -> Address | None:
    """The address that `host` spells, in any spelling that some resolver takes for one; None for a name.

    Reads what inet_aton(3) reads (1 to 4 parts, decimal, octal or hexadecimal), IPv6 with or without
    brackets, and both written in full-width characters or with ideographic full stops.
    """
    text = _narrow(host).strip("[]").removesuffix(".")
    if ":" in text:
        return _ipv6(text)
    parts = text.split(".")
    if not all(map(_NUMBER.fullmatch, parts)):
        return None
    *heads, tail = map(_number, parts)
    room = 4 - len(heads)  # bytes left for the last part: 127.1 is 127.0.0.1
    if room < 1 or max(heads, default=0) >= 1 << 8 or tail >= 1 << 8 * room:
        return None
    return IPv4Address(bytes(heads) + tail.to_bytes(room, "big"))


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart, vetted, and put together again so that no two parsers can disagree on its host."""

    scheme: str
    host: str  # lower-case ASCII, without brackets or a final full stop
    port: int
    path: str  # with its query, percent-encoded, never empty
    allowed: bool  # the administrator lists this host and port: private addresses and any port are right
    address: Address | None  # known without asking anybody: an IP literal, or a *.localhost name

    @property
    def authority(self) -> str:
        """Host and port as in a URL or a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _WEB_PORTS[self.scheme] else f":{self.port}"
        return host + port

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    def vet(self, addresses: Iterable[Address]) -> None:
        """Raise BlockedAddress if any of the addresses behind this host is not a public one."""
        if self.allowed:
            return
        for address in addresses:
            if why := refusal(address):
                raise BlockedAddress(
                    f"{shown(self.url)} leads to {address} ({why})",
                    hint=f"if that is meant, add {self.host}:{self.port} to VEILLE_ALLOW_HOSTS",
                )


def target(url: str, allow_hosts: frozenset[tuple[str, int]] = frozenset()) -> Target:
    """Take `url` apart and vet all that can be vetted without the network.

    Raises BlockedAddress: no http(s), a user name or password, a host that is not one or is a private or
    oddly spelled address, a port other than 80 and 443 that `allow_hosts` does not list.
    """
    match = _URL.fullmatch(url[: _MAX_URL + 1].strip().partition("#")[0])
    if not match or len(url) > _MAX_URL or _CONTROLS.search(match[0]) or "\\" in match["path"]:
        raise _blocked(url, "is not an http or https address")
    scheme = match["scheme"].lower()
    if "@" in match["authority"]:
        raise _blocked(url, "carries a user name or password")
    place = _AUTHORITY.fullmatch(match["authority"])
    if not place:
        raise _blocked(url, "names no valid host")
    host, address = _host(url, place["host"])
    port = int(place["port"] or _WEB_PORTS[scheme])
    found = Target(
        scheme=scheme,
        host=host,
        port=port,
        path=_quoted(match["path"] or "/", "/") + _quoted(match["query"], "/?"),
        allowed=(host, port) in allow_hosts,
        address=address,
    )
    if address:
        found.vet([address])
    if port not in _WEB_PORTS.values() and not found.allowed:
        raise _blocked(url, f"uses port {port}; only 80 and 443 are contacted")
    return found


def parse_allowed(text: str) -> frozenset[tuple[str, int]]:
    """Read VEILLE_ALLOW_HOSTS: `name:port` pairs separated by commas or spaces. Raises ConfigError."""
    return frozenset(map(_pair, text.replace(",", " ").split()))


def shown(url: str) -> str:
    """`url` as it may stand in a message: one short line without secrets."""
    clean = _CONTROLS.sub(" ", _USERINFO.sub("//***@", url[:_MAX_URL].strip()))
    return clean if len(clean) <= _SHOWN else f"{clean[:_SHOWN]}…"


def _host(url: str, raw: str) -> tuple[str, Address | None]:
    """The host's one spelling, and its address where that is known without a resolver."""
    host = _ascii(url, raw).removesuffix(".")
    if host.startswith("["):
        six = _ipv6(host[1:-1])
        if not six or six.scope_id:
            raise _blocked(url, "names no valid IPv6 address")
        return str(six), six
    if not _NAME.fullmatch(host):
        raise _blocked(url, "names no valid host")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):  # WHATWG URL: a host that ends in a number is an address
        address = literal(host)
        if str(address) != host and not (address and refusal(address)):
            raise _blocked(url, "writes an address in an unusual way")
        return str(address), address
    if host == "localhost" or host.endswith(".localhost"):
        return host, IPv4Address("127.0.0.1")  # RFC 6761: never a question to a resolver
    return host, None


def _ascii(url: str, host: str) -> str:
    """`host` in lower-case ASCII: full-width forms narrowed, international names in Punycode (UTS 46)."""
    narrow = _narrow(host)
    if narrow.isascii():
        return narrow
    import idna

    try:
        return idna.encode(narrow, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise _blocked(url, "names no valid host") from error


def _narrow(host: str) -> str:
    return unicodedata.normalize("NFKC", host).replace("。", ".").lower()


def _number(part: str) -> int:
    """One part of an IPv4 address as inet_aton(3) reads it; "0x" alone is 0 (WHATWG URL)."""
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    octal = part.startswith("0") and not set(part) & {"8", "9"}
    return int(part, 8 if octal else 10)


def _ipv6(text: str) -> IPv6Address | None:
    try:
        return IPv6Address(text)
    except ValueError:
        return None


def _pair(item: str) -> tuple[str, int]:
    """One entry of VEILLE_ALLOW_HOSTS, its host spelled as `target` spells it."""
    place = _AUTHORITY.fullmatch(item)
    if place and place["port"] and 0 < int(place["port"]) <= _MAX_PORT:
        with suppress(BlockedAddress):
            return _host(item, place["host"])[0], int(place["port"])
    raise ConfigError(
        f"VEILLE_ALLOW_HOSTS: {item!r} is not host:port",
        hint="export VEILLE_ALLOW_HOSTS=news.example.internal:8080,press.localhost:80",
    )


def _quoted(text: str, safe: str) -> str:
    """Percent-encode what must not stand in a request line, and nothing that is encoded already."""
    return quote(text, safe=f"{safe}%:@!$&'()*+,;=~[]|", errors="replace")


def _blocked(url: str, reason: str) -> BlockedAddress:
    return BlockedAddress(f"{shown(url)} {reason}")
