"""What a reader would see of a text that may hold markup: plain text, in one form. *Pure.*

No markup, entities decoded, double coding put right, NFC, no control characters, and every run of white
space one space. No-break spaces are folded too, so « Titre : suite » is one string however it was typed. Does
not look for an article in a page: that is `articles`.
"""

import html
import re
import unicodedata

_SILENT = {"script", "style", "template", "iframe", "noscript", "object", "svg", "math", "textarea", "select"}
_MOST_TAGS = 1_000  # nested 40 000 deep they cost 5 s, 1 000 deep 3 ms; a summary has a dozen
_BLOCK = re.compile(
    r"<(?=/?(?:p|br|div|li|ul|ol|dl|dd|dt|h[1-6]|t[rdh]|table|blockquote|hr|pre|section|article|fig\w+|img)\b)",
    re.IGNORECASE,
)
_TYPED_QUOTES = re.compile("<<([^<>]{1,300})>>")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_BARE_AMPERSAND = re.compile(rf"&(?!{_ENTITY.pattern[1:]})")
_AMPERSANDS = re.compile(r"&(?:(?:amp|#0*38|#x0*26);)+", re.IGNORECASE)
# windows-1252 where C1 controls stand: « l\x92été »
_C1 = {chr(byte): bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xA0)}
# C0 but white space, C1, what shows as nothing (soft hyphen, zero-width space, byte order mark) and what
# turns the direction of writing.
_CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u200b\u2060\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
# UTF-8 read as windows-1252 and coded again: « Ã© », « â€™ ». Only what decodes to Latin letters and
# punctuation: « passé\xa0» would be a Chinese sign by the same reading.
_LATER_BYTE = {
    byte: {chr(byte), bytes([byte]).decode("cp1252", "ignore") or chr(byte)} for byte in range(0x80, 0xC0)
}
_BYTE_OF = {char: byte for byte, chars in _LATER_BYTE.items() for char in chars}
_TAIL = f"[{''.join(map(re.escape, _BYTE_OF))}]"
_DOUBLE = re.compile(f"[ÂÃÄÅ]{_TAIL}|â[\x80\x82\x84\x86€‚„†]{_TAIL}")


def plain(text: str, limit: int) -> str:
    """What a reader would see of a text that may hold markup, entities, double coding and controls.

    At most `limit` characters. Entities are decoded and markup is removed until neither is left: feeds code
    twice, and what was hidden by it must not come out as a script. So a title cannot speak of « <b> ».
    """
    text = text[: 20 * limit].encode("utf-8", "ignore").decode()  # without lone surrogates
    for _ in range(8):
        before = text
        text = _uncovered(text)
        if text == before:
            break
    else:
        text = text.replace("<", " ")
    return " ".join(text.split())[:limit].rstrip()


def _uncovered(text: str) -> str:
    """The text without its outer layer. Controls go first: they hide tags from the parser."""
    if not text.isascii():
        text = _DOUBLE.sub(_once, unicodedata.normalize("NFC", text))
    if not text.isprintable():
        text = _CONTROL.sub(_visible, text)
    if "&" in text:
        text = _AMPERSANDS.sub("&", text)
    return _without_markup(text) if "<" in text else _ENTITY.sub(_decoded, text)


def _without_markup(text: str) -> str:
    import nh3

    if text.count("<") > _MOST_TAGS:
        text = "<".join(text.split("<", _MOST_TAGS)[:_MOST_TAGS])
    text = _TYPED_QUOTES.sub(r"«\1»", text.replace("<![CDATA[", "").replace("]]>", ""))
    spaced = _BARE_AMPERSAND.sub("&amp;", _BLOCK.sub(" <", text))
    return html.unescape(nh3.clean(spaced, tags=set(), clean_content_tags=_SILENT))


def _decoded(entity: re.Match[str]) -> str:
    return html.unescape(entity[0])


def _visible(control: re.Match[str]) -> str:
    return _C1.get(control[0], "")


def _once(found: re.Match[str]) -> str:
    lead = {"Â": 0xC2, "Ã": 0xC3, "Ä": 0xC4, "Å": 0xC5, "â": 0xE2}[found[0][0]]
    return bytes((lead, *(_BYTE_OF[char] for char in found[0][1:]))).decode("utf-8", "ignore") or found[0]
