"""The small words by which eight languages link a relation to a name, and how they ask whom it means."""

from collections.abc import Iterable, Mapping

QUESTIONS: Mapping[str, str] = {
    "en": "Who is {}?",
    "es": "¿Quién es {}?",
    "de": "Wer ist {}?",
    "fr": "Qui est {} ?",
    "it": "Chi è {}?",
    "pt": "Quem é {}?",
    "ru": "Кто {}?",
    "zh": "{}是谁？",
}
"""Language -> what is asked about a noun phrase."""

LINKS: Mapping[str, tuple[str, ...]] = {
    "of": ("en",),
    "von": ("de",),
    "vom": ("de",),
    "de": ("es", "fr", "pt"),
    "del": ("es", "it"),
    "du": ("fr",),
    "des": ("de", "fr"),
    "di": ("it",),
    "dello": ("it",),
    "della": ("it",),
    "do": ("pt",),
    "da": ("pt",),
    "d'": ("fr", "it"),
    "dell'": ("it",),
}
"""What stands between a noun and a name -> the languages in which it does."""


def _words(text: str) -> Iterable[str]:
    return text.split()


def _determiners(kept: str, **replaced: str) -> dict[str, str]:
    """`replaced` gives what other ones become: the article that a preposition has swallowed."""
    own = {word: word for word in _words(kept)}
    return own | {word: article for article, many in replaced.items() for word in _words(many)}


DETERMINERS: Mapping[str, Mapping[str, str]] = {
    "en": _determiners("the a an which that this his her their my our your"),
    "es": _determiners("el la los las un una su mi qué", el="al del"),
    "de": _determiners("der die das ein eine", der="den dem des vom zum beim", die="zur"),
    "fr": _determiners("le la les l' un une son sa mon ma", le="au du", les="aux des"),
    "it": _determiners("il lo la i gli le l' un uno una", il="al del dal", lo="allo dello dallo", la="alla della dalla")
    | dict.fromkeys(("all'", "dell'", "dall'"), "l'"),
    "pt": _determiners("o a os as um uma seu sua", o="ao do no pelo", a="à da na pela"),
}
"""Language -> what a noun phrase begins with -> how it begins as the subject of a question."""

ARTICLES = frozenset(word for words in DETERMINERS.values() for word in words)

CLAUSES: Mapping[str, Mapping[str, str]] = {
    "who": {"en": "Who {}?"},
    "whoever": {"en": "Who {}?"},
    "that": {"en": "Who {}?"},
    "quien": {"es": "¿Quién {}?"},
    "quién": {"es": "¿Quién {}?"},
    "que": {"es": "¿Quién {}?", "pt": "Quem {}?"},
    "quem": {"pt": "Quem {}?"},
    "qui": {"fr": "Qui {} ?"},
    "chi": {"it": "Chi {}?"},
    "che": {"it": "Chi {}?"},
}
"""What stands before what somebody did -> language -> what is asked."""
AFTER_NOUNS = frozenset({"that", "que", "che"})
"""Those of them that say this only after a noun."""
PRONOUNS = frozenset(_words("aquel aquella aquele aquela celle celui colei colui one"))
"""Nouns of one word that they follow."""
COPULAS = frozenset(_words("is was are were es era fue est sont était étaient è é foi 's"))
"""What is said after them that asks who somebody is, and means nobody else."""
AUXILIARIES = frozenset(_words("did do does will would can could may might shall should must has have had"))
"""Between "who" and a name, they make the name the one who did something."""

NOBILIARY = frozenset(_words("al bin da de del della der di do dos du el la le ten ter van von zu"))
PARTICLES = NOBILIARY | {"i", "of", "the", "y"}
"""Small words inside names."""

NO_NAMES = frozenset({*LINKS, "let"})

MODIFIERS = frozenset(
    _words(
        """academic adoptive adopted best biological chief closest current doctoral elder eldest ex favorite favourite
        final first former foster half late last legal long-time maternal musical new old older oldest only original
        own paternal personal phd present previous principal private real scientific second secret spiritual sworn
        third unborn very young younger youngest"""
    )
)
"""English words after which a noun phrase goes on."""
AGENT_ENDINGS = tuple(_words("er or ist ant ent mate man woman friend wife coach boss chief guide pupil"))
"""Of English nouns that may have another noun before them: "piano teacher"."""
NO_AGENTS = frozenset(_words("after ever her never or other over their under went your"))

RU_VERB_ENDINGS = tuple(_words("л ла ло ли лся лась лось лись ть ет ит ют ят ут ат"))
RU_CLOSED = frozenset(_words("если когда чтобы потому который которая какой какая после перед через между около"))

ZH_WHOEVER = ("那个人", "那位", "人")
ZH_THIRD = "人者家长员官师生友商"  # a noun of three letters ends in one of these
SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段"
    "雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
