"""What readers see is kept, in one form; what a browser would run is not."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reading.plaintext import plain

SEEN = {
    # markup
    "<p>Un</p><p>deux</p>": "Un deux",
    "<b>é</b>té": "été",
    "un<br/>deux": "un deux",
    "Il a dit <!-- non -->oui": "Il a dit oui",
    "<![CDATA[Le titre]]>": "Le titre",
    "&lt;![CDATA[Le titre]]&gt;": "Le titre",
    # what only looks like it
    "a < b": "a < b",
    "5 <10 euros>": "5 <10 euros>",
    "<3 Paris": "<3 Paris",
    "Il dit : <<non>>": "Il dit : «non»",
    # entities, coded once, twice, half
    "L&#146;&eacute;t&eacute;": "L’été",
    "AT&amp;T": "AT&T",
    "AT&amp;amp;T": "AT&T",
    "&amp;lt;b&amp;gt;gras&amp;lt;/b&amp;gt;": "gras",
    "R&D ?a=1&copy=2": "R&D ?a=1&copy=2",
    "&inconnue; &": "&inconnue; &",
    "&#0;a&#xD800;b&#x110000;": "\ufffda\ufffdb\ufffd",
    # scripts, however hidden
    "<script>alert(1)</script>Titre": "Titre",
    "&lt;script&gt;alert(1)&lt;/script&gt;Titre": "Titre",
    "&amp;lt;script&amp;gt;alert(1)&amp;lt;/script&amp;gt;Titre": "Titre",
    "<\x00script>alert(1)</script>Titre": "Titre",
    "&lt;&shy;script&gt;alert(1)&lt;/script&gt;Titre": "Titre",
    "<STYLE>p{}</STYLE >Titre": "Titre",
    "Titre<script>alert(1)": "Titre",
    "Titre<img src=x onerror=alert(1)": "Titre",
    "<svg><script>alert(1)</script></svg>Titre": "Titre",
    # French
    "Guerre en Ukraine : le point": "Guerre en Ukraine : le point",
    "Budget\u00a0: la ville\u202f?": "Budget : la ville ?",
    "e\u0301te\u0301": "été",
    "Nœud, Ægir, ŒUVRE": "Nœud, Ægir, ŒUVRE",
    # decoded wrongly somewhere on the way
    "l\x92\x9cuvre": "l’œuvre",
    "lâ€™Ã©tÃ©": "l’été",
    "l\xe2\x80\x99Ã\x89cole": "l’École",
    "Å“uvre, 5 â‚¬, Ã\u00a0 Paris": "œuvre, 5 €, à Paris",
    "SÃO PAULO, voilÀ": "SÃO PAULO, voilÀ",
    "« passé\u00a0», « né\u00a0»": "« passé », « né »",
    "l'année…\u00a0»": "l'année… »",
    # controls and what cannot be seen
    "a\x00b\x08c\ud800d\ufeffe\u200bf\u00adg": "abcdefg",
    "\u202eabc": "abc",
    " un\n\t deux\u2028trois ": "un deux trois",
}


@pytest.mark.parametrize("text", SEEN, ids=ascii)
def test_what_a_reader_sees(text):
    assert plain(text, 1_000) == SEEN[text]


PIECES = st.lists(
    st.one_of(
        st.text(alphabet=st.characters(), max_size=4),
        st.sampled_from(
            ["<", ">", "</", "<script>", "</script>", "<b>", "<p ", "<!--", "-->", "<![CDATA[", "]]>"]
        ),
        st.sampled_from(
            ["&", "amp;", "&amp;", "lt;", "&lt;", "&#60;", "&shy;", "&#x3c;", "script", "&eacute;"]
        ),
        st.sampled_from(
            ["Ã", "©", "â", "€", "™", "Â", "\u00a0", "\u0301", "e", " ", "\x00", "\x92", "\ud800"]
        ),
    )
).map("".join)


@given(PIECES)
def test_plain_text_is_plain(text):
    """NFC, no controls, no surrogates, no markup, single spaces, within the limit."""
    result = plain(text, 40)

    assert len(result) <= 40
    assert result == " ".join(result.split())
    assert unicodedata.is_normalized("NFC", result)
    assert not {"Cc", "Cs"} & set(map(unicodedata.category, result))
    assert "<script" not in result.lower()
    assert "<b>" not in result.lower()


@given(PIECES)
def test_plain_text_stays_as_it_is(text):
    """What has been cleaned once is not changed by cleaning it again."""
    once = plain(text, 1_000)

    assert plain(once, 1_000) == once


def test_hostile_nesting_is_cut():
    """Markup beyond a thousand tags is not read."""
    assert plain("<div>" * 40_000 + "x", 10_000) == ""
    assert plain("Un début. " + "<b>" * 40_000 + "x", 10_000) == "Un début."
    assert plain("&" + "amp;" * 4_000 + "lt;", 1_000) == "<"
