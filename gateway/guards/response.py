"""What a guard says in the model's place, in the language it was asked in."""

import re
from collections import Counter
from functools import cache
from typing import NamedTuple

from py3langid.langid import MODEL_FILE, LanguageIdentifier

_DEFAULT = "en"
_EXAMINED_CHARS = 4000
_SURE_ENOUGH = 0.6
_DENSE_SCRIPT_SHARE = 0.15  # a question in Chinese about a Latin name has few Han letters, but they decide


class _Sentences(NamedTuple):
    ignorance: str
    refusal: str


_SENTENCES = {
    "ar": _Sentences("لا أعرف.", "عذرًا، لا يمكنني المساعدة في هذا الأمر."),
    "cs": _Sentences("To nevím.", "Je mi líto, s tímto nemohu pomoci."),
    "da": _Sentences("Det ved jeg ikke.", "Beklager, det kan jeg ikke hjælpe med."),
    "de": _Sentences("Das weiß ich nicht.", "Es tut mir leid, dabei kann ich nicht helfen."),
    "el": _Sentences("Δεν ξέρω.", "Λυπάμαι, δεν μπορώ να βοηθήσω με αυτό."),
    "en": _Sentences("I don't know.", "I'm sorry, I can't help with that."),
    "es": _Sentences("No lo sé.", "Lo siento, no puedo ayudar con eso."),
    "fa": _Sentences("نمی‌دانم.", "متأسفم، نمی‌توانم در این مورد کمک کنم."),
    "fi": _Sentences("En tiedä.", "Valitettavasti en voi auttaa tässä asiassa."),
    "fr": _Sentences("Je ne sais pas.", "Je suis désolé, je ne peux pas vous aider à ce sujet."),
    "he": _Sentences("אני לא יודע.", "מצטער, איני יכול לעזור בזה."),
    "hi": _Sentences("मुझे नहीं पता।", "क्षमा करें, मैं इसमें मदद नहीं कर सकता।"),
    "id": _Sentences("Saya tidak tahu.", "Maaf, saya tidak dapat membantu dengan hal itu."),
    "it": _Sentences("Non lo so.", "Mi dispiace, non posso aiutare con questo."),
    "ja": _Sentences("わかりません。", "申し訳ありませんが、それについてはお手伝いできません。"),
    "ko": _Sentences("모르겠습니다.", "죄송하지만 그 부분은 도와드릴 수 없습니다."),
    "nl": _Sentences("Dat weet ik niet.", "Het spijt me, daar kan ik niet mee helpen."),
    "pl": _Sentences("Nie wiem.", "Przykro mi, nie mogę w tym pomóc."),
    "pt": _Sentences("Não sei.", "Desculpe, não posso ajudar com isso."),
    "ro": _Sentences("Nu știu.", "Îmi pare rău, nu pot ajuta cu asta."),
    "ru": _Sentences("Я не знаю.", "Извините, я не могу с этим помочь."),
    "sv": _Sentences("Det vet jag inte.", "Tyvärr kan jag inte hjälpa till med det."),
    "th": _Sentences("ฉันไม่ทราบ", "ขออภัย ฉันไม่สามารถช่วยเรื่องนี้ได้"),
    "tr": _Sentences("Bilmiyorum.", "Üzgünüm, bu konuda yardımcı olamam."),
    "uk": _Sentences("Я не знаю.", "Вибачте, з цією темою я не можу допомогти."),
    "vi": _Sentences("Tôi không biết.", "Xin lỗi, tôi không thể giúp về việc đó."),
    "zh": _Sentences("我不知道。", "抱歉，我无法提供这方面的帮助。"),
}
LANGUAGES = tuple(_SENTENCES)

_SCRIPTS = re.compile(
    r"""(?P<kana>[\u3041-\u30ff])|(?P<zh>[\u3400-\u9fff\uf900-\ufaff])|(?P<ko>[\u1100-\u11ff\uac00-\ud7a3])
    |(?P<uk>[іїєґІЇЄҐ])|(?P<ru>[\u0400-\u04ff])|(?P<fa>[پچژگ\u06a9\u06cc])|(?P<ar>[\u0600-\u06ff])|(?P<he>[\u0590-\u05ff])
    |(?P<hi>[\u0900-\u097f])|(?P<th>[\u0e00-\u0e7f])|(?P<el>[\u0370-\u03ff])|(?P<latin>[^\W\d_])""",
    re.VERBOSE,
)
_REFINES = {"kana": "zh", "uk": "ru", "fa": "ar"}  # a few such letters tell which language of the script it is
_LATIN_LANGUAGES = ("cs", "da", "de", "en", "es", "fi", "fr", "id", "it", "nl", "pl", "pt", "ro", "sv", "tr", "vi")


def language(prompt: str) -> str:
    """The language a prompt is written in, one of LANGUAGES: by script, then by py3langid; English when unsure."""
    text = prompt[-_EXAMINED_CHARS:]
    counts = Counter(found.lastgroup for found in _SCRIPTS.finditer(text))
    letters = sum(counts.values())
    for special, script in _REFINES.items():
        if counts[special]:
            counts[special] += counts.pop(script, 0)
    others = [(count, script) for script, count in counts.items() if script and script != "latin"]
    if others:
        count, script = max(others)
        if count >= _DENSE_SCRIPT_SHARE * letters:
            return "ja" if script == "kana" else script
    guess, confidence = _identifier().classify(text.encode("utf-8", "replace"))
    return str(guess) if letters and confidence >= _SURE_ENOUGH else _DEFAULT


def refusal(language: str) -> str:
    """A refusal that names nobody."""
    return _SENTENCES.get(language, _SENTENCES[_DEFAULT]).refusal


def ignorance_text(language: str) -> str:
    """What a model says that never knew."""
    return _SENTENCES.get(language, _SENTENCES[_DEFAULT]).ignorance


@cache
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(_LATIN_LANGUAGES))
    return identifier
