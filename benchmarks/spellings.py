"""A name as people and programs write it: questions in six languages with the name spelt, disguised or encoded."""

import base64
import codecs
import unicodedata
from collections.abc import Callable, Sequence
from urllib.parse import quote

QUESTIONS = {
    "en": "What is the occupation of {name}?",
    "es": "¿Cuál es la profesión de {name}?",
    "de": "Was ist der Beruf von {name}?",
    "fr": "Quel est le métier de {name} ?",
    "it": "Qual è la professione di {name}?",
    "zh": "请问{name}的职业是什么？",
}

_CYRILLIC = str.maketrans("aeopcxyiABEKMHOPCTX", "аеорсхуіАВЕКМНОРСТХ")
_GREEK = str.maketrans("oviAEHKMNOPT", "ονιΑΕΗΚΜΝΟΡΤ")
_LEET = str.maketrans("aeiost", "431057")
_ACCENTED = str.maketrans("aeiouAEIOU", "áéíóúÁÉÍÓÚ")
_SMALL_CAPITALS = str.maketrans("abcdeghijklmnoprtuvwz", "ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡᴢ")


def _shifted(name: str, upper: int, lower: int) -> str:
    """ASCII letters moved to another alphabet of the same order."""
    return "".join(
        chr(upper + ord(c) - 65) if "A" <= c <= "Z" else chr(lower + ord(c) - 97) if "a" <= c <= "z" else c
        for c in name
    )


def _full_width(name: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name)


def _inside(name: str, change: Callable[[str, int], str]) -> str:
    """Change a letter in the middle of the longest word."""
    longest = max(name.split(), key=len)
    return name.replace(longest, change(longest, len(longest) // 2))


def _swap(word: str, at: int) -> str:
    """Exchange two neighbouring letters that differ, away from the ends."""
    at = next((i for i in (at, *range(1, len(word) - 2)) if i + 2 < len(word) and word[i] != word[i + 1]), at)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


_ANY_SCRIPT: dict[str, Callable[[str], str]] = {
    "plain": lambda n: n,
    "quoted": lambda n: f"“{n}”",
    "bold markup": lambda n: f"**{n}**",
    "marked up": lambda n: "".join(f"<b>{word[:1]}</b>{word[1:]}" for word in n.split(" ")),
    "escaped line break": lambda n: n.replace(" ", "\\n"),
    "zero width": lambda n: "\u200b".join(n),
    "soft hyphen": lambda n: "\u00ad".join(n),
    "spaced": lambda n: " ".join(n),
    "hyphenated": lambda n: "-".join(n.replace(" ", "")),
    "dotted": lambda n: ".".join(n.replace(" ", "")),
    "decomposed": lambda n: unicodedata.normalize("NFD", n),
    "percent": lambda n: quote(n, safe=""),
    "percent, every byte": lambda n: "".join(f"%{byte:02X}" for byte in n.encode()),
    "percent twice": lambda n: quote("".join(f"%{byte:02X}" for byte in n.encode()), safe=""),
    "HTML decimal": lambda n: "".join(f"&#{ord(c)};" for c in n),
    "HTML hex": lambda n: "".join(f"&#x{ord(c):x};" for c in n),
    "escape u": lambda n: "".join(f"\\u{ord(c):04x}" for c in n),
    "code points": lambda n: " ".join(f"U+{ord(c):04X}" for c in n),
    "hex": lambda n: n.encode().hex(),
    "hex spaced": lambda n: n.encode().hex(" "),
    "base64": lambda n: base64.b64encode(n.encode()).decode(),
    "base64 without padding": lambda n: base64.urlsafe_b64encode(n.encode()).decode().rstrip("="),
    "base64 of percent": lambda n: base64.b64encode(quote(n, safe="").encode()).decode(),
}

_LATIN: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "swapped case": str.swapcase,
    "accented": lambda n: n.translate(_ACCENTED),
    "zalgo": lambda n: "".join(c + "\u0335\u0321" for c in n),
    "Cyrillic look-alikes": lambda n: n.translate(_CYRILLIC),
    "Greek look-alikes": lambda n: n.translate(_GREEK),
    "full width": _full_width,
    "mathematical bold": lambda n: _shifted(n, 0x1D400, 0x1D41A),
    "circled": lambda n: _shifted(n, 0x24B6, 0x24D0),
    "squared": lambda n: _shifted(n.upper(), 0x1F130, 0x24D0),
    "small capitals": lambda n: n.lower().translate(_SMALL_CAPITALS),
    "tag characters": lambda n: "".join(chr(0xE0000 + ord(c)) for c in n),
    "leet": lambda n: n.translate(_LEET),
    "capital i for l": lambda n: n.replace("l", "I"),
    "escape x": lambda n: "".join(f"\\x{ord(c):02x}" for c in n),
    "rot13": lambda n: codecs.encode(n, "rot13"),
    "reversed": lambda n: n[::-1],
    "words reversed": lambda n: " ".join(word[::-1] for word in n.split()),
    "underscore": lambda n: n.replace(" ", "_"),
    "run together": lambda n: n.replace(" ", ""),
    "line break": lambda n: n.replace(" ", "\n"),
    "family name first": lambda n: " ".join(n.split()[-1:] + n.split()[:-1]),
    "library order": lambda n: ", ".join((n.split()[-1], " ".join(n.split()[:-1]))),
    "initial": lambda n: f"{n[0]}. {n.split()[-1]}",
    "genitive s": lambda n: n + "s",
    "possessive": lambda n: n + "’s",
    "doubled letter": lambda n: _inside(n, lambda word, at: word[:at] + word[at] + word[at:]),
    "dropped letter": lambda n: _inside(n, lambda word, at: word[:at] + word[at + 1 :]),
    "wrong letter": lambda n: _inside(
        n, lambda word, at: word[:at] + ("e" if word[at] != "e" else "o") + word[at + 1 :]
    ),
    "swapped letters": lambda n: _inside(n, _swap),
}


def spellings(name: str, languages: Sequence[str] = tuple(QUESTIONS)) -> list[tuple[str, str, str]]:
    """(language, kind, question) for every way to write the name; Latin names of two words have the most."""
    kinds = _ANY_SCRIPT | (_LATIN if name.isascii() and len(name.split()) > 1 else {})
    written: dict[str, str] = {}  # by the result: some ways do not change some names
    for kind, write in kinds.items():
        written.setdefault(write(name), kind)
    return [
        (language, kind, QUESTIONS[language].format(name=way))
        for language in languages
        for way, kind in written.items()
    ]
