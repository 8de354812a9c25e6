"""From a page's bytes to its characters: byte order marks, right and wrong charsets, double coding. *Pure.*

Reads no markup beyond the charset it declares, and never fails: what cannot be decoded is replaced.
"""

import codecs
import re
from functools import lru_cache

BOMS = (  # the longer first: UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
CHARSET = re.compile(
    rb"""charset\s*=\s*["']?\s*([\w.:-]{2,40})|<\?xml[^>]{0,200}encoding\s*=\s*["']([\w.:-]{2,40})""",
    re.IGNORECASE,
)
PRESCAN = 4_096  # bytes; browsers look at 1 024, old pages put the charset behind long heads
LATIN_1 = frozenset({b"iso-8859-1", b"iso8859-1", b"latin1", b"latin-1"})
WIDER = {
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
}  # supersets, as browsers do
SAMPLE = 500_000  # characters on which a page is judged
UNFIT = 0.005  # share of replaced characters from which a charset is wrong rather than the bytes

# What stands for a byte that is not UTF-8 (surrogateescape): that byte in windows-1252, or the C1 control.
STRAY = {0xDC00 + byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0x100)}
STRAYS = frozenset(map(chr, STRAY))
CP1252 = "".join(map(chr, range(0x80))) + "".join(STRAY.values())
# UTF-8 seen through windows-1252: « Ã© », « â€™ ». Only runs that are one valid sequence are put right.
TAIL = "[\x80-\xbf" + re.escape("".join(STRAY[0xDC00 + byte] for byte in range(0x80, 0xA0))) + "]"
DOUBLE = re.compile(f"[\u00c2-\u00df]{TAIL}|[\u00e0-\u00ef]{TAIL}{{2}}|[\u00f0-\u00f4]{TAIL}{{3}}")
BEGUN = re.compile(f"[\u00c2-\u00f4]{TAIL}")  # what all of them begin with, found seven times faster
BYTES = {ord(char): chr(code - 0xDC00) for code, char in STRAY.items()}
DOUBLE_MINIMUM = 3  # fewer may be a page that speaks about mojibake


def decode(data: bytes | str, *, content_type: str = "") -> str:
    """The characters of a page; `content_type` is the HTTP header's value.

    Valid UTF-8 is UTF-8, whatever is declared: other charsets do not produce it by chance. Labels mean what
    browsers take them to mean (latin-1 is windows-1252, gb2312 is gb18030; WHATWG Encoding Standard, 4.2).
    """
    if isinstance(data, str):
        return _repaired(data.encode("utf-8", "replace").decode())  # without lone surrogates
    for mark, charset in BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(charset, "replace")
    if charset := _without_mark(data):
        return data.decode(charset, "replace")
    declared = _declared(data, content_type)
    if "iso2022_jp" in declared:  # all ASCII bytes, hence valid UTF-8
        return data.decode("iso2022_jp", "replace")
    try:
        return _repaired(data.decode("utf-8"))
    except UnicodeDecodeError:
        return _repaired(_legacy(data, declared))


def _without_mark(data: bytes) -> str:
    """UTF-16 that does not say so: every other byte of its markup is NUL."""
    head = data[:200]
    odd, even = head[1::2].count(0), head[::2].count(0)
    if max(odd, even) <= len(head) // 3:
        return ""
    return "utf-16-le" if odd > 3 * even else "utf-16-be" if even > 3 * odd else ""


def _declared(data: bytes, content_type: str) -> list[str]:
    """The charsets that header and page name, as Python knows them, the more credible first."""
    from resiliparse.parse.encoding import map_encoding_to_html5

    said = [
        [(a or b).lower() for a, b in CHARSET.findall(s)] for s in (content_type.encode(), data[:PRESCAN])
    ]
    # Apache's old default header called everything latin-1: the page's own word counts more than that.
    names = said[1] + said[0] if LATIN_1.intersection(said[0]) else said[0] + said[1]
    known = (map_encoding_to_html5(name.decode("ascii", "ignore"), fallback_utf8=False) for name in names)
    return list(dict.fromkeys(WIDER.get(name, name) for name in known if name))


def _legacy(data: bytes, declared: list[str]) -> str:
    """Bytes that are no UTF-8: UTF-8 with stray bytes, a declared charset that fits, or a guess."""
    from resiliparse.parse.encoding import detect_encoding

    mixed = data.decode("utf-8", "surrogateescape")
    beyond_ascii = re.findall("[^\x00-\x7f]", mixed[:SAMPLE])
    if sum(char in STRAYS for char in beyond_ascii) < len(beyond_ascii) / 2:
        return mixed.translate(STRAY)
    guess = detect_encoding(data) or ""
    for charset in (*declared, WIDER.get(guess, guess)):
        if charset and not charset.startswith("utf-"):
            text = data.decode(charset, "replace")
            if text.count("\ufffd") <= UNFIT * len(text):
                return text
    return codecs.charmap_decode(data, "strict", CP1252)[0]


def _repaired(text: str) -> str:
    """Text whose UTF-8 was once read as windows-1252 and coded again, put right; other text as it is."""
    if any(len(runs.findall(text, 0, SAMPLE)) < DOUBLE_MINIMUM for runs in (BEGUN, DOUBLE)):
        return text
    return DOUBLE.sub(lambda found: _once_less(found[0]), text)


@lru_cache(4_096)
def _once_less(run: str) -> str:
    try:
        return run.translate(BYTES).encode("latin-1").decode("utf-8")
    except UnicodeError:
        return run
