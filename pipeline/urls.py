"""One form for every spelling of an article's address, and the keys by which an article is known. *Pure.*

Two addresses with one canonical form are taken for one article: a rule that is too weak splits articles, one
that is too strong merges different ones; in doubt a rule here is weak. A canonical URL is a name: it is
compared and stored, and need not be what is fetched. Nothing here is resolved, followed or vetted.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING
from unicodedata import normalize
from urllib.parse import unquote

from pipeline.errors import Unparsable
from pipeline.model import Key

if TYPE_CHECKING:
    from pipeline.catalogue import Publisher

MAX_LENGTH = 2048  # characters of a canonical URL; the index cuts its keyword `url` there
# Of a URL as it comes, tracking and all. Composing a run of accents takes time with its square: 0.4 million
# took six minutes, 8 192 take 0.08 s.
_MAX_RAW = 8192

# --- escapes

_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_IN_PATH = _UNRESERVED + "!$'()*+,;=:@"  # RFC 3986's pchar, without "&": its escape keeps it out of a query
_IN_QUERY = _UNRESERVED + "!$'()*,;:@/?"  # without "&", "=" and "+", which mean something there
_PLAIN = re.compile(r"[!$&'()*+,;=:@/?A-Za-z0-9._~-]*")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")
_UNTIDY = re.compile(r"%[0-9A-F]{2}|[A-Za-z]?[^\x00-\x7f]+|[^!$&'()*+,;=:@/?A-Za-z0-9._~%-]")


def _unescaper(plain: str) -> Callable[[re.Match[bytes]], bytes]:
    kept = frozenset(plain.encode()) | frozenset(range(0x80, 0x100))

    def unescape(escape: re.Match[bytes]) -> bytes:
        if escape[1] is None:
            return b"%25"  # a bare per cent sign
        byte = int(escape[1], 16)
        return bytes((byte,)) if byte in kept else escape[0].upper()

    return unescape


_unescape_path, _unescape_query = _unescaper(_IN_PATH), _unescaper(_IN_QUERY)


def _escape(found: re.Match[str]) -> str:
    """Escapes what needs it; a letter comes along so that an accent after it is composed with it."""
    if found[0][0] == "%":
        return found[0]
    raw = normalize("NFC", found[0]).encode("utf-8", "surrogateescape")
    # ";" stands here because NFC turns the Greek question mark into it
    return "".join(chr(byte) if chr(byte) in _UNRESERVED + ";" else f"%{byte:02X}" for byte in raw)


def _tidy(text: str, unescape: Callable[[re.Match[bytes]], bytes]) -> str:
    """One spelling of a path or query: no needless escape, and those needed in NFC, UTF-8, upper case.

    Bytes that are no UTF-8 stay as they are: an old site's %E9 is not known to mean "é".
    """
    if _PLAIN.fullmatch(text):
        return text
    raw = _ESCAPE.sub(unescape, text.encode())
    return _UNTIDY.sub(_escape, raw.decode("utf-8", "surrogateescape"))


# --- host

_URL = re.compile(
    r"(https?):[/\\]{2}([^/\\?]+)([^?]*)(?:\?(.*))?", re.IGNORECASE | re.DOTALL | re.ASCII
)  # ASCII: else httpſ would be https
_AUTHORITY = re.compile(r"(?:.*@)?(\[[0-9a-f:.]+\]|[^:@\[\]]+)(?::([0-9]{0,5}))?", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_ADDRESS = re.compile(r"\[.*|(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")  # a host whose last label is a number is IPv4
_PLACE = re.compile(r"(?:\[(?P<address>[^\[\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>\d+))?")
_EDGES = "".join(map(chr, range(0x21))) + "\x7f\x85\xa0\u200b\u2028\u2029\ufeff"
_BREAKS = str.maketrans(dict.fromkeys("\t\n\r"))
_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65535
_LONGEST_NAME = 253  # of a host (RFC 1035); refused before IDNA, whose time grows with it

# www.lemonde.fr, m.20minutes.fr, amp.france24.com and amp-madame.lefigaro.fr are surfaces of one site each.
# What remains must be a site's name: m.fr and amp-energie.fr stay.
_SURFACE = re.compile(r"(?:(?:www|m|amp|mobile)\.(?=[^.]+\.[^.])|amp-(?=[^.]+\.[^.]+\.[^.]))+")


def _split(url: str) -> tuple[str, str, int | None, str, str]:
    """Scheme, host, port (None: the scheme's own), path and query as they stand; the fragment is dropped."""
    if len(url) > _MAX_RAW:
        raise Unparsable(f"longer than {_MAX_RAW} characters: {_shown(url[:_MAX_RAW])}")
    url = re.sub(r"&#0*38;", "&", url) if "&#" in url else url
    page = url.partition("#")[0].strip(_EDGES).translate(_BREAKS)
    found = _URL.fullmatch(page)
    authority = found and _AUTHORITY.fullmatch(found[2])
    if not found or not authority:
        raise Unparsable(f"not an absolute http(s) URL: {_shown(url)}")
    try:
        page.encode()
        host = _host(authority[1])
    except ValueError as error:
        raise Unparsable(f"not a valid URL: {_shown(url)}") from error
    scheme, port = found[1].lower(), int(authority[2] or _PORTS[found[1].lower()])
    if not 0 < port <= _LAST_PORT:
        raise Unparsable(f"no such port: {_shown(url)}")
    return scheme, host, None if port == _PORTS[scheme] else port, found[3], found[4] or ""


def _shown(url: str) -> str:
    """A URL for a message: short, and without the parts that may hold secrets."""
    return ascii(re.split(r"[?#]", re.sub(r"//.*@", "//", url, flags=re.DOTALL), maxsplit=1)[0][:80])


@lru_cache(maxsize=4096)  # the 13 408 links of one day's feeds have 34 hosts
def _host(name: str) -> str:
    """A host name in lower-case ASCII without final dots. Raises ValueError for what is none."""
    if name.startswith("["):
        from ipaddress import IPv6Address

        return f"[{IPv6Address(name[1:-1])}]"
    if "%" in name:
        name = _ESCAPE.sub(_unescape_path, name.encode()).decode()
    if not name.isascii():
        import idna

        if len(name) > _LONGEST_NAME:
            raise ValueError(name)
        name = idna.encode(name, uts46=True).decode()
    name = name.lower().rstrip(".")
    if not _HOST.fullmatch(name):
        raise ValueError(name)
    return name


def host_of(url: str) -> str:
    """The authority that a URL is fetched from: "name" or "name:port", lower case, without a default port.

    Raises Unparsable for what is no http(s) URL.
    """
    _, host, port, _, _ = _split(url)
    return f"{host}:{port}" if port else host


def split_host(host: str) -> tuple[str, int | None]:
    """The name and port of a host as `host_of` gives it; an IPv6 literal without its brackets."""
    found = _PLACE.fullmatch(host)
    if found is None:
        raise Unparsable(f"{host[:80]!r} is no host")
    return found["address"] or found["name"], int(found["port"]) if found["port"] else None


def _origin(scheme: str, host: str, port: int | None) -> str:
    """Scheme and authority; https without port or surface wherever that is the same site."""
    if _ADDRESS.fullmatch(host):
        return f"{scheme}://{host}:{port}" if port else f"{scheme}://{host}"
    if surface := _SURFACE.match(host):
        host = host[surface.end() :]
    if host == "localhost" or host.endswith(".localhost") or port not in (None, 80, 443):
        return f"{scheme}://{host}:{port}" if port else f"{scheme}://{host}"
    return f"https://{host}"


# --- path

_AMPERSAND = re.compile(r"&(?:amp;)+")
_SESSION = re.compile(r";(?:jsessionid|phpsessid|sid)=[^/;]*", re.IGNORECASE)
_AMP_SUFFIX = re.compile(r"(?<=[^.])(?:\.amp)+(?=\.(?:html?|php)$|$)", re.IGNORECASE)
_AMP_SEGMENTS = frozenset({"amp", "_amp"})


def _path(path: str) -> str:
    """A path without empty and dot segments, final slash, session and AMP marks."""
    segments: list[str] = []
    for part in _SESSION.sub("", path).split("/"):
        segment = _AMP_SUFFIX.sub("", part)
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", ".") and segment.lower() not in _AMP_SEGMENTS:
            segments.append(segment)
    return "".join(f"/{segment}" for segment in segments)


# --- query

# Parameters that say where a reader came from, not what the page is: seen in the press's own feeds and links
# (xtor, at_, ns_, aef_, lmd_, int_, 55_, mediego_, snetwork, M_BT) or documented by those who add them
# (Google, Meta, Microsoft, X, Matomo, Piano, HubSpot, Mailchimp, Marketo, Oracle, Adobe, Outbrain, Taboola).
_TRACKING_FAMILY = re.compile(
    r"utm_|at_|ns_|aef_|lmd_|55_|mediego_|cmp|wt\.|wt_|mtm_|piwik_|matomo_|hsa_|_hs|__hs|hss_|ga_|gaa_|gad_|vero_"
    r"|oly_|fb_|cx_|sfmc_|elq|__cft__|__tn__|trk|tblci|amp_(?:js_v|gsa|kit|r|latest_update_time)$|mc_(?:cid|eid)$"
    r"|(?:int|pk)_(?:campaign|medium|source|content|term|kwd|keyword|cid)$|xt(?:or|ref|mc|cr|np|dt|s)$"
)
_TRACKING_NAMES = """
    fbclid gclid dclid msclkid yclid ysclid twclid ttclid wbraid gbraid gclsrc srsltid igshid igsh
    li_fat_id epik mkt_tok rb_clickid zanpid dicbo oborigurl obinsite _ga _gl _gac _branch_match_id __s
    s_cid s_kwcid echobox ocid ncid intcid smid smtyp ito fref ref_src ref_url refsrc sfnsn mibextid wprov
    spref wickedid pnespid m_bt m_i dm_i snetwork usqp __twitter_impression action_object_map
    action_type_map action_ref_map google_editors_picks actcampaigntype actid actsource campaign_id
    campaignid phpsessid jsessionid replytocom showcomment
"""
_TRACKING = frozenset(_TRACKING_NAMES.split())
# Some name with these a way in, others a subject (?source=insee): noise only where the value is a way in.
_WAYS_IN = frozenset(
    {"ref", "source", "src", "from", "origin", "origine", "via", "medium", "campaign", "share", "partenaire"}
)
_WAY_IN = re.compile(
    r"(?:fil|flux)?[-_]?(?:rss|feed|atom|twsrc|twitter|facebook|instagram|linkedin|whatsapp|telegram|pinterest|tumblr"
    r"|reddit|bluesky|bsky|mastodon|threads|tiktok|flipboard|google|gnews|googlenews|upday|applenews|feedly"
    r"|e?-?mail|courriel|newsletter|infolettre|push|notification|partage|social|reseaux[-_]?sociaux|homepage)s?"
    r"(?:[-_.:%0-9].*)?|x|tw|fb|ig|nl|rs|hp|une|home|accueil|app|appli|mobile|amp|print|share|sharing|widget",
    re.IGNORECASE | re.DOTALL,
)
_YES = frozenset({"", "1", "true", "yes", "on", "amp"})
# Put behind a path or another parameter by hands that did not look whether there was a query already.
_GLUED = re.compile(r"[&?](?=(?:utm_[a-z]+|xtor|at_(?:medium|campaign)|fbclid)=)", re.IGNORECASE)


def _is_noise(name: str, value: str) -> bool:
    """Whether a page is the same without this parameter."""
    name = name.lower()
    if name in _TRACKING or _TRACKING_FAMILY.match(name):
        return True
    if name in _WAYS_IN:
        return bool(_WAY_IN.fullmatch(value))
    if name in ("amp", "hs_amp"):
        return value.lower() in _YES
    return name == "outputtype" and value.lower().startswith("amp")


def _parameters(query: str) -> Iterator[tuple[str, str]]:
    """The parameters that stay, as (name, whole) in one spelling."""
    for parameter in _GLUED.sub("&", query).split("&"):
        name, _, value = re.sub(r"^(?:amp;)+", "", parameter).partition("=")
        if (name or value) and not _is_noise(name, value):
            yield name, f"{name}={value}" if value else name


# --- the whole

# Addresses that carry an article's: Google's AMP viewer (whose /amp/ has gone by then) and cache, the links
# of Google Alerts' feeds, links out of Facebook.
_VIEWER = re.compile(
    r"https://(?:google\.[a-z.]+/(s)|[^/]+\.cdn\.ampproject\.org/[a-z](?:/(s))?)/([^/?]+\.[^/?]+(?:[/?].*)?)"
)
_REDIRECT = re.compile(
    r"https://(?:google\.[a-z.]+/url|lm?\.facebook\.com/l\.php)\?(?:.*&)?(?:q|u|url)=(https?:[^&]+)"
)


def _carried(url: str) -> str:
    """The address that a viewer's or redirector's canonical URL carries, or nothing."""
    if viewer := _VIEWER.fullmatch(url):
        return f"http{viewer[1] or viewer[2] or ''}://{viewer[3]}"
    redirect = _REDIRECT.match(url)
    return unquote(redirect[1]) if redirect else ""


def canonical(url: str) -> str:
    """The one spelling of a URL by which it is compared.

    No difference is made by http or https, www, mobile and AMP surfaces, escapes, dot segments, final
    slashes, the order of parameters, tracking parameters, fragments and user names; by anything else there
    is. On `*.localhost`, bare addresses and ports of their own, http and https stay apart. The result has at
    most 2048 characters, and canonical(canonical(url)) == canonical(url). Raises Unparsable for what is no
    http(s) URL.
    """
    for _ in range(4):  # viewers in redirectors; nobody nests deeper in good faith
        scheme, host, port, raw, query = _split(url)
        path = _AMPERSAND.sub("&", _tidy(raw.replace("\\", "/"), _unescape_path))
        if glued := _GLUED.search(path):
            path, query = path[: glued.start()], f"{path[glued.end() :]}&{query}"
        query = _tidy(query.replace("+", "%20"), _unescape_query)
        kept = sorted(_parameters(query), key=lambda parameter: parameter[0])
        result = _origin(scheme, host, port) + _path(path)
        if kept:
            result += "?" + "&".join(whole for _, whole in kept)
        url = _carried(result)
        if not url:
            break
    else:
        raise Unparsable(f"a URL in a URL, too often: {_shown(result)}")
    if len(result) > MAX_LENGTH:
        raise Unparsable(f"longer than {MAX_LENGTH} characters: {_shown(result)}")
    return result


def keys(url: str, publisher: "Publisher | None" = None) -> tuple[Key, ...]:
    """The names that a URL gives its article: its canonical form and, where known, the publisher's number.

    The number is looked for in the canonical URL without its query (a log-in page carries its article's URL
    there), and only on the publisher's own hosts.
    Raises Unparsable for what is no http(s) URL.
    """
    name = canonical(url)
    key = Key("url", name)
    if publisher is None or not publisher.article_id:
        return (key,)
    number = (
        re.search(publisher.article_id, name.partition("?")[0]) if publisher.owns(host_of(name)) else None
    )
    return (key, Key("id", f"{publisher.id}:{number[1]}")) if number and number[1] else (key,)
