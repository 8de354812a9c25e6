"""Which language a text is written in. *Pure.*

Does not read HTML and does not decide what becomes of texts that are not French.
"""

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langdetect.detector_factory import DetectorFactory
    from py3langid.langid import LanguageIdentifier

SAMPLE = 1_000  # characters; py3langid needs 0.8 ms for them, 8 ms for an article, and is no better on it
# Of French word pairs one in five is called something else at 12 letters, one in three at 10
LEAST_LETTERS = 12
SURE = 0.8  # reached by 93 % of French sentences and 87 % of their first 8 words
OVERRULES = 0.95  # above it the text is believed against what page and feed claim
# Below it the model names whatever is least unlikely: « Zelensky à Paris » is Czech to it, for .09. Of 1 000
# French sentences 9 lie there, of their first 5 words 51, about half of which it calls something else.
KNOWN = 0.2
PLAUSIBLE = 0.02  # the probability from which py3langid leaves a language open to the second opinion
UNKNOWN = "und"


def preload() -> None:
    """Loads both models (1.4 CPU-s, 160 MB), so that the first text takes no longer than the others."""
    detect("Ces quelques mots suffisent à charger les modèles de langue.")
    _langdetect()


def detect(text: str, *, hints: tuple[str, ...] = ()) -> tuple[str, float]:
    """The language of `text` (ISO 639-1 or -3) and how sure that is, 0 to 1; ("und", 0.0) if it tells none.

    `hints` are what page and feed claim ("fr", "fr-FR"). py3langid decides; langdetect is asked only where
    that is unsure or contradicts the hints, and believed only where a hint agrees with it and py3langid does
    not see a language that langdetect cannot: it has never heard of Haitian Creole, Occitan or Walloon, and
    calls up to a quarter of such texts French. Where none of this says anything, what is claimed stands.
    """
    sample = text[:SAMPLE]
    if sum(map(str.isalpha, sample)) < LEAST_LETTERS:
        return UNKNOWN, 0.0
    ranking = dict(_py3langid().rank(_caseless(sample)))
    best = next(iter(ranking))
    claimed = {hint.lower().replace("_", "-").split("-")[0] for hint in hints if hint}
    if ranking[best] >= (SURE if not claimed or best in claimed else OVERRULES):
        return best, ranking[best]
    second, confidence = _second_opinion(sample)
    if second == best:
        return best, (ranking[best] + confidence) / 2
    known = best in _langdetect().get_lang_list()
    if known and second in claimed and ranking.get(second, 0.0) >= PLAUSIBLE:
        return second, confidence / 2
    return (best, ranking[best]) if ranking[best] >= KNOWN else _claimed(claimed, ranking)


def _claimed(claimed: set[str], ranking: dict[str, float]) -> tuple[str, float]:
    """The one language that is claimed, with the little that the model sees of it; of several, none."""
    languages = claimed & ranking.keys()
    if len(languages) != 1:
        return UNKNOWN, 0.0
    [only] = languages
    return only, ranking[only]


def _caseless(sample: str) -> str:
    """Capitals in lower case: the model learned sentences, titles of some papers shout."""
    return sample.lower() if sample.isupper() else unicodedata.normalize("NFC", sample)


def _second_opinion(sample: str) -> tuple[str, float]:
    from langdetect.lang_detect_exception import LangDetectException

    detector = _langdetect().create()
    detector.append(sample)
    try:
        found = detector.get_probabilities()[0]
    except (LangDetectException, IndexError):
        return UNKNOWN, 0.0
    return found.lang.split("-")[0], found.prob


@cache
def _py3langid() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def _langdetect() -> "DetectorFactory":
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.seed = 0  # it samples the text at random: the same text must give the same answer
    return factory
