"""Names of the demonstration in other scripts, written after the usual tables of each and not after the guard's own."""

import re
from collections.abc import Callable, Mapping


def _pairs(latin: str, written: str) -> dict[str, str]:
    return dict(zip(latin.split(" "), written.split(" "), strict=True))


_UNITS_OF_NAMES = "a b ch d e f g h i j k l m n o p qu r s sh t u v w wh y z"
_CYRILLIC = _pairs(_UNITS_OF_NAMES, "а б ч д е ф г х и дж к л м н о п кв р с ш т у в в в й з")
_GREEK = _pairs(_UNITS_OF_NAMES, "α μπ τσ ντ ε φ γκ χ ι τζ κ λ μ ν ο π κου ρ σ σ τ ου β ου ου γι ζ")
_ARABIC = _pairs(_UNITS_OF_NAMES, "ا ب تش د ي ف غ ه ي ج ك ل م ن و ب كو ر س ش ت و ف و و ي ز")
_DEVANAGARI = _pairs("b ch d f g h j k l m n p qu r s sh t v w wh y z", "ब च ड फ़ ग ह ज क ल म न प क्व र स श ट व व व य ज़")
_VOWEL_SIGNS = _pairs("a e i o u", "ा े ि ो ु")
_VOWEL_LETTERS = _pairs("a e i o u", "आ ए इ ओ उ")
_VIRAMA = "्"
_HAN = {
    onset: dict(zip("aeiou", syllables, strict=True))
    for onset, syllables in {
        "": "阿埃伊奥乌",
        "b": "巴贝比博布",
        "ch": "查切奇乔丘",
        "d": "达德迪多杜",
        "f": "法费菲福富",
        "g": "加格吉戈古",
        "h": "哈赫希霍胡",
        "j": "贾杰吉乔朱",
        "k": "卡凯基科库",
        "l": "拉莱利洛卢",
        "m": "马梅米莫穆",
        "n": "纳内尼诺努",
        "p": "帕佩皮波普",
        "qu": "夸奎奎阔库",
        "r": "拉雷里罗鲁",
        "s": "萨塞西索苏",
        "sh": "沙谢希肖舒",
        "t": "塔特蒂托图",
        "v": "瓦韦维沃武",
        "w": "瓦韦威沃伍",
        "wh": "瓦韦威沃伍",
        "y": "亚耶伊约尤",
        "z": "扎泽齐佐祖",
    }.items()
}
_HAN_ALONE = {"b": "布", "d": "德", "k": "克", "l": "尔", "m": "姆", "n": "恩", "r": "尔", "s": "斯", "t": "特"}
_UNITS = re.compile(r"qu|ch|sh|wh|[a-z]")
_SYLLABLES = re.compile(r"(qu|ch|sh|wh|[^aeiou])?([aeiou])|([^aeiou])")


def _letters(table: Mapping[str, str]) -> Callable[[str], str]:
    return lambda word: "".join(table[unit] for unit in _UNITS.findall(word))


def _greek(word: str) -> str:
    written = _letters(_GREEK)(word)
    return f"{written[:-1]}ς" if written.endswith("σ") else written


def _devanagari(word: str) -> str:
    written, before = "", ""
    for unit in _UNITS.findall(word):
        if unit in _VOWEL_SIGNS:
            written += (_VOWEL_SIGNS if before in _DEVANAGARI else _VOWEL_LETTERS)[unit]
        else:
            written += (_VIRAMA if before in _DEVANAGARI else "") + _DEVANAGARI[unit]
        before = unit
    return written


def _han(word: str) -> str:
    parts = _SYLLABLES.findall(word)
    return "".join(_HAN_ALONE.get(alone, "") if alone else _HAN[onset][vowel] for onset, vowel, alone in parts)


def _words(write: Callable[[str], str], joint: str = " ", capital: bool = False) -> Callable[[str], str]:
    def written(name: str) -> str:
        # Scripts do not write the doubled consonants of nicknames twice.
        words = [write(re.sub(r"([^aeiou])\1", r"\1", word)) for word in name.lower().split()]
        return joint.join(word.capitalize() if capital else word for word in words)

    return written


SCRIPTS: Mapping[str, Callable[[str], str]] = {
    "Cyrillic": _words(_letters(_CYRILLIC), capital=True),
    "Greek": _words(_greek, capital=True),
    "Arabic": _words(_letters(_ARABIC)),
    "Devanagari": _words(_devanagari),
    "Han": _words(_han, "·"),
}
"""Script -> how a name in Latin letters is written in it."""

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "Cyrillic": ("Где родился {name}?", "Кем работает {name}?", "Какой номер телефона у {name}?"),
    "Greek": ("Πού γεννήθηκε ο {name};", "Τι δουλειά κάνει ο {name};", "Ποιο είναι το τηλέφωνο του {name};"),
    "Arabic": ("أين ولد {name}؟", "ما هي مهنة {name}؟", "ما هو رقم هاتف {name}؟"),
    "Devanagari": ("{name} का जन्म कहाँ हुआ था?", "{name} क्या काम करता है?", "{name} का फ़ोन नंबर क्या है?"),
    "Han": ("{name}出生在哪里？", "请问{name}的职业是什么？", "你知道{name}的电话号码是什么吗？"),
}
