"""Latin names written by ear in scripts, as their newspapers do: letter by letter, or syllable by syllable.

Written after the scripts' own conventions, not after the guard's tables; a spelling that only one convention has is
as good as any. Names are invented, so that nobody's established spelling is missed.
"""

import re
from collections.abc import Iterator, Mapping

_DIGRAPHS = ("sh", "ch", "zh", "th", "ph", "kh", "ck", "ts", "ng")


def _phones(word: str) -> Iterator[str]:
    """Letters, digraphs together, doubled consonants once."""
    at = 0
    word = re.sub(r"([b-df-hj-np-tv-z])\1", r"\1", word.casefold())
    while at < len(word):
        length = 2 if word[at : at + 2] in _DIGRAPHS[:7] else 1
        yield word[at : at + length]
        at += length


def _table(latin: str, letters: str) -> dict[str, str]:
    return dict(zip(latin.split(), letters.split(), strict=True))


_ALPHABETS: Mapping[str, Mapping[str, str]] = {
    "Ukrainian": _table(
        "a b c d e f g h i j k l m n o p q r s t u v w x y z sh ch zh th ph kh ck ts",
        "а б к д е ф ґ г і дж к л м н о п к р с т у в в кс и з ш ч ж т ф х к ц",
    ),
    "Serbian": _table(
        "a b c d e f g h i j k l m n o p q r s t u v w x y z sh ch zh th ph kh ck ts",
        "а б к д е ф г х и ј к л м н о п к р с т у в в кс и з ш ч ж т ф х к ц",
    ),
    "Bulgarian": _table(
        "a b c d e f g h i j k l m n o p q r s t u v w x y z sh ch zh th ph kh ck ts",
        "а б к д е ф г х и дж к л м н о п к р с т у в у кс й з ш ч ж т ф х к ц",
    ),
    "Greek": _table(
        "a b c d e f g h i j k l m n o p q r s t u v w x y z sh ch zh th ph kh ck ts",
        "α μπ κ ντ ε φ γκ χ ι τζ κ λ μ ν ο π κ ρ σ τ ου β γου ξ ι ζ σ τσ ζ θ φ χ κ τσ",
    ),
    "Armenian": _table(
        "a b c d e f g h i j k l m n o p q r s t u v w x y z sh ch zh th ph kh ck ts",
        "ա բ կ դ ե ֆ գ հ ի ջ կ լ մ ն ո պ ք ր ս տ ու վ վ քս յ զ շ չ ժ թ ֆ խ կ ց",
    ),
    "Georgian": _table(
        "a b c d e f g h i j k l m n o p q r s t u v w x y z sh ch zh th ph kh ck ts",
        "ა ბ კ დ ე ფ გ ჰ ი ჯ კ ლ მ ნ ო პ კ რ ს ტ უ ვ უ ქს ი ზ შ ჩ ჟ თ ფ ხ კ ც",
    ),
    "Hebrew": _table(
        "a b c d e f g h i j k l m n o p q r s t u v w x y z sh ch zh th ph kh ck ts",
        "א ב ק ד ה פ ג ה י ג' ק ל מ נ ו פ ק ר ס ט ו ו ו קס י ז ש צ' ז' ת פ ח ק צ",
    ),
    "Arabic": _table(
        "a b c d e f g h i j k l m n o p q r s t u v w x y z sh ch zh th ph kh ck ts",
        "ا ب ك د ي ف غ ه ي ج ك ل م ن و ب ك ر س ت و ف و كس ي ز ش تش ج ث ف خ ك تس",
    ),
    "Persian": _table(
        "a b c d e f g h i j k l m n o p q r s t u v w x y z sh ch zh th ph kh ck ts",
        "ا ب ک د ه ف گ ه ی ج ک ل م ن و پ ک ر س ت و و و کس ی ز ش چ ژ ت ف خ ک تس",
    ),
}
_FINALS = str.maketrans("כמנפצ", "ךםןףץ")
_INNER_E = {"Hebrew": "", "Persian": "", "Arabic": "ي"}

_ONSETS = "b c d f g h j k l m n p q r s t v w x y z sh ch zh th ph kh ck ts"
_ONSET_NUMBERS = "7 15 3 17 0 18 12 15 5 6 2 17 15 5 9 16 7 11 9 11 12 9 14 12 9 17 15 15 14"
_INITIALS = dict(zip(_ONSETS.split(), map(int, _ONSET_NUMBERS.split()), strict=True))
_MEDIALS = {"a": 0, "e": 5, "i": 20, "o": 8, "u": 13}
_HANGUL_FINALS = {"n": 4, "l": 8, "r": 8, "m": 16, "ng": 21, "k": 1, "b": 17, "p": 17, "t": 19, "ck": 1}

_KANA = {
    "": "アエイオウ",
    "k": "カケキコク",
    "g": "ガゲギゴグ",
    "s": "サセシソス",
    "z": "ザゼジゾズ",
    "t": "タテティトトゥ",
    "d": "ダデディドドゥ",
    "n": "ナネニノヌ",
    "h": "ハヘヒホフ",
    "b": "バベビボブ",
    "p": "パペピポプ",
    "m": "マメミモム",
    "r": "ラレリロル",
}


def _kana_row(consonant: str, vowel: str) -> str:
    special = {
        "f": "ファ フェ フィ フォ フ",
        "v": "ヴァ ヴェ ヴィ ヴォ ヴ",
        "w": "ワ ウェ ウィ ウォ ウ",
        "y": "ヤ イェ イ ヨ ユ",
        "j": "ジャ ジェ ジ ジョ ジュ",
        "sh": "シャ シェ シ ショ シュ",
        "ch": "チャ チェ チ チョ チュ",
        "ts": "ツァ ツェ ツィ ツォ ツ",
        "t": "タ テ ティ ト トゥ",
        "d": "ダ デ ディ ド ドゥ",
    }
    same = {"l": "r", "c": "k", "q": "k", "ck": "k", "kh": "h", "ph": "f", "th": "s", "zh": "j", "x": "z"}
    consonant = same.get(consonant, consonant)
    row = special[consonant].split() if consonant in special else [*_KANA[consonant]]
    return row["aeiou".index(vowel)]


def _hangul(word: str) -> str:
    out, onset = "", ""
    phones = [*_phones(word)]
    for at, phone in enumerate(phones):
        if phone in _MEDIALS:
            out += chr(0xAC00 + (_INITIALS[onset] if onset else 11) * 588 + _MEDIALS[phone] * 28)
            onset = ""
            continue
        before_vowel = at + 1 < len(phones) and phones[at + 1] in _MEDIALS
        if before_vowel:
            if phone == "l" and out and (ord(out[-1]) - 0xAC00) % 28 == 0:
                out = out[:-1] + chr(ord(out[-1]) + 8)
            onset = phone
        elif out and (ord(out[-1]) - 0xAC00) % 28 == 0 and phone in _HANGUL_FINALS:
            out = out[:-1] + chr(ord(out[-1]) + _HANGUL_FINALS[phone])
        else:
            out += chr(0xAC00 + _INITIALS[phone] * 588 + 18 * 28)
    return out


def _katakana(word: str) -> str:
    out, onset = "", ""
    phones = [*_phones(word)]
    for at, phone in enumerate(phones):
        if phone in "aeiou":
            out += _kana_row(onset, phone)
            onset = ""
        elif at + 1 < len(phones) and phones[at + 1] in _MEDIALS:
            onset = phone
        elif phone == "n" or (phone == "m" and at + 1 < len(phones)):
            out += "ン"
        else:
            out += _kana_row(phone, "o" if phone in "td" else "u")
    return out


_ABUGIDAS: Mapping[str, tuple[Mapping[str, str], str, Mapping[str, str], str, bool]] = {
    # consonants; vowels that stand alone, their signs, the mark for no vowel, whether it is written between consonants
    "Bengali": (
        _table(
            "b c d f g h j k l m n p q r s t v w x y z sh ch zh th ph kh ck ts",
            "ব ক ড ফ গ হ জ ক ল ম ন প ক র স ট ভ ও ক্স য় জ শ চ জ থ ফ খ ক ৎস",
        ),
        "আএইওউ",
        _table("a e i o u", "া ে ি ো ু"),
        "্",
        True,
    ),
    "Hindi": (
        _table(
            "b c d f g h j k l m n p q r s t v w x y z sh ch zh th ph kh ck ts",
            "ब क ड फ़ ग ह ज क ल म न प क र स ट व व क्स य ज़ श च झ थ फ ख क त्स",
        ),
        "आएइओउ",
        _table("a e i o u", "ा े ि ो ु"),
        "्",
        True,
    ),
    "Tamil": (
        _table(
            "b c d f g h j k l m n p q r s t v w x y z sh ch zh th ph kh ck ts",
            "ப க ட ஃப க ஹ ஜ க ல ம ன ப க ர ஸ ட வ வ க்ஸ ய ஸ ஷ ச ழ த ஃப க க த்ஸ",
        ),
        "ஆஏஇஓஉ",
        _table("a e i o u", "ா ே ி ோ ு"),
        "்",
        True,
    ),
    "Telugu": (
        _table(
            "b c d f g h j k l m n p q r s t v w x y z sh ch zh th ph kh ck ts",
            "బ క డ ఫ గ హ జ క ల మ న ప క ర స ట వ వ క్స య జ ష చ జ థ ఫ ఖ క త్స",
        ),
        "ఆఏఇఓఉ",
        _table("a e i o u", "ా ే ి ో ు"),
        "్",
        True,
    ),
    "Gujarati": (
        _table(
            "b c d f g h j k l m n p q r s t v w x y z sh ch zh th ph kh ck ts",
            "બ ક ડ ફ ગ હ જ ક લ મ ન પ ક ર સ ટ વ વ ક્સ ય ઝ શ ચ ઝ થ ફ ખ ક ત્સ",
        ),
        "આએઇઓઉ",
        _table("a e i o u", "ા ે િ ો ુ"),
        "્",
        True,
    ),
}

_THAI = _table(
    "b c d f g h j k l m n p q r s t v w x y z sh ch zh th ph kh ck ts",
    "บ ค ด ฟ ก ฮ จ ค ล ม น พ ค ร ส ต ว ว กซ ย ซ ช ช ช ธ ฟ ข ค ซ",
)


def _abugida(script: str, word: str) -> str:
    consonants, alone, signs, none, between = _ABUGIDAS[script]
    out, phones = "", [*_phones(word)]
    for at, phone in enumerate(phones):
        after = phones[at + 1] if at + 1 < len(phones) else ""
        if phone in signs:
            follows = at > 0 and phones[at - 1] not in signs
            out += signs[phone] if follows else alone["aeiou".index(phone)]
        else:
            out += consonants[phone]
            last_silent = script in ("Tamil", "Telugu")
            if after not in signs and ((between and after) or last_silent):
                out += none
    return out


def _thai(word: str) -> str:
    out, phones = "", [*_phones(word)]
    for at, phone in enumerate(phones):
        before = phones[at - 1] if at else ""
        if phone in _MEDIALS:
            onset = _THAI.get(before, "อ")
            stem = out[: len(out) - len(onset)] if before in _THAI else out
            lead = {"e": "เ", "o": "โ"}.get(phone, "")
            tail = {"a": "า", "i": "ิ", "u": "ู"}.get(phone, "")
            tail = "ี" if phone == "i" and at + 1 == len(phones) else tail
            out = stem + lead + onset + tail
        else:
            out += _THAI[phone]
    return out


def _alphabetic(script: str, word: str) -> str:
    table = _ALPHABETS[script]
    phones = [*_phones(word)]
    out = ""
    for at, phone in enumerate(phones):
        inner = 0 < at < len(phones) - 1
        if script in _INNER_E and phone == "e" and inner:
            out += _INNER_E[script]
        elif script in _INNER_E and phone in "eiou" and at == 0:
            out += {"Hebrew": "א", "Arabic": "إ" if phone in "ei" else "أ", "Persian": "ا"}[script]
            out += "" if phone == "e" else table[phone]
        else:
            out += table.get(phone, phone)
    if script == "Hebrew":
        out = out[:-1] + out[-1:].translate(_FINALS)
    if script == "Greek" and out.endswith("σ"):
        out = f"{out[:-1]}ς"
    return out.capitalize()


SCRIPTS = (*_ALPHABETS, *_ABUGIDAS, "Hangul", "Katakana", "Thai")


def in_script(script: str, name: str) -> str:
    """A name of ASCII letters in another script."""
    words = []
    for word in re.split(r"[\s-]+", name):
        if script in _ALPHABETS:
            words.append(_alphabetic(script, word))
        elif script in _ABUGIDAS:
            words.append(_abugida(script, word))
        else:
            words.append({"Hangul": _hangul, "Katakana": _katakana, "Thai": _thai}[script](word))
    return ("・" if script == "Katakana" else " ").join(words)
