"""French is told from its neighbours, also in a short title, and always in the same way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.reading.language import LEAST_LETTERS, SURE, _py3langid, detect

FRENCH = [
    "La halle rouvre après dix mois de travaux",
    "Grève des bacs : pas de traversée jeudi matin",
    "Peut-on encore se baigner dans l’étang des Brumes ?",
    "Le préfet interdit les feux d’artifice dans tout le département.",
    "VALBRUYÈRE : TROIS BLESSÉS DANS L’EFFONDREMENT D’UN BALCON",
    "Où sont passées les hirondelles ?",
]
NEIGHBOURS = {
    "ht": "Timoun yo pa t ka ale lekòl semèn sa a paske lapli a te kraze wout la ak pon an nan zòn nan.",
    "ca": "L’ajuntament ha decidit que el mercat tornarà a obrir les portes dissabte, després de les obres.",
    "oc": "Lo conselh municipal a decidit que la fièira se tendrà dissabte sus la plaça de la glèisa.",
    "it": "Il consiglio comunale ha deciso di riaprire il mercato coperto dopo dieci mesi di lavori.",
    "es": "El ayuntamiento decidió anoche reabrir el mercado cubierto tras diez meses de obras.",
    "pt": "A câmara municipal decidiu ontem à noite reabrir o mercado depois de dez meses de obras.",
    "ro": "Consiliul local a hotărât aseară să redeschidă hala după zece luni de lucrări.",
    "en": "The town council decided last night to reopen the covered market after ten months of works.",
    "de": "Der Gemeinderat hat gestern Abend beschlossen, die Markthalle nach zehn Monaten wieder zu öffnen.",
    "nl": "De gemeenteraad besloot gisteravond de overdekte markt na tien maanden werk te heropenen.",
    "br": "Divizet en deus ar c’huzul-kêr adsevel ar marc’had goloet goude dek miz labourioù.",
}


@pytest.mark.parametrize("text", FRENCH)
def test_french_is_french(text):
    """Titles too, with or without a claim, and against a claim where the text is sure of itself."""
    assert detect(text)[0] == "fr"
    assert detect(text, hints=("fr-FR", ""))[0] == "fr"


@pytest.mark.parametrize("language", NEIGHBOURS)
def test_its_neighbours_are_not(language):
    """Whatever page and feed claim: a paper of Port-au-Prince calls all its pages French."""
    assert detect(NEIGHBOURS[language])[0] == language
    assert detect(NEIGHBOURS[language], hints=("fr", "fr-FR"))[0] == language


def test_doubt_asks_a_second_opinion():
    """Where py3langid alone would hardly say so, langdetect's agreement makes it surer."""
    title = "Football : transfert record à Valbruyère"
    alone = _py3langid().rank(title)[0]

    assert alone[0] == "fr"
    assert alone[1] < SURE
    assert detect(title)[1] > alone[1]


def test_a_claim_does_not_overrule_a_clear_text():
    """Pages in French that call themselves English are many."""
    assert detect(" ".join(FRENCH), hints=("en", "en-US"))[0] == "fr"


@pytest.mark.parametrize(
    "title",
    ["Zelensky à Paris", "Macron en Ukraine", "Mort de Robert Badinter", "Cyclisme : Pogacar roi"],
)
def test_of_names_alone_the_claim_stands(title):
    """Where the model says nothing, nor does the text: only one claim does."""
    assert detect(title, hints=("fr-FR", "fr"))[0] == "fr"
    assert detect(title, hints=("fr",))[1] < SURE
    assert detect(title, hints=("fr", "en")) == detect(title) == detect(title, hints=("xx",)) == ("und", 0.0)


@pytest.mark.parametrize("text", ["", "   ", "2026", "12 000 € – 3,5 %", "…", "Ça va", "!" * 500, "👍" * 50])
def test_too_little_text_is_undetermined(text):
    """Fewer than a dozen letters say nothing, whatever is claimed."""
    assert detect(text) == ("und", 0.0)
    assert detect(text, hints=("fr",)) == ("und", 0.0)


@pytest.mark.parametrize("composed", [True, False])
def test_the_spelling_of_accents_makes_no_difference(composed):
    import unicodedata

    text = unicodedata.normalize(
        "NFC" if composed else "NFD", "L’été, les élèves préfèrent la forêt à l’école."
    )

    assert detect(text) == detect(unicodedata.normalize("NFC", text))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from([*FRENCH, *NEIGHBOURS.values()]), min_size=1, max_size=3).map(" ".join),
    st.text(),
)
def test_the_answer_is_always_the_same(text, noise):
    """A code, a share between 0 and 1, and no memory of what was asked before."""
    first = detect(text, hints=("fr",))
    code, confidence = detect(noise)

    assert detect(text, hints=("fr",)) == first
    assert 2 <= len(code) <= 3
    assert 0.0 <= confidence <= 1.0
    assert (code == "und") <= (confidence == 0.0)
    if sum(map(str.isalpha, noise)) < LEAST_LETTERS:
        assert code == "und"
