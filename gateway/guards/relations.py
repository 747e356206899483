"""Who is meant by a relation to somebody who is named: "the mentor of S", "S's mentor", "the one who taught S".

Found by form: a noun phrase linked to a name whose noun can mean a person, or a clause about who did something to it,
in English, Spanish, German, French, Italian, Portuguese, Russian and Chinese. Whom it leads to is for the model to
say: a form that is no relation costs a question and changes nothing.
"""

import re
from dataclasses import dataclass

from gateway.guards.relation_persons import may_mean_somebody
from gateway.guards.relation_text import Range, RelationText
from gateway.guards.relation_words import (
    AFTER_NOUNS,
    AGENT_ENDINGS,
    ARTICLES,
    AUXILIARIES,
    CLAUSES,
    COPULAS,
    DETERMINERS,
    LINKS,
    MODIFIERS,
    NO_AGENTS,
    PRONOUNS,
    QUESTIONS,
    RU_CLOSED,
    RU_VERB_ENDINGS,
    ZH_THIRD,
    ZH_WHOEVER,
)

MOST_RELATIONS = 16  # of one text, the last ones: questions end a prompt
DEEPEST = 3  # "the mentor of the mentor of the mentor of S"

_MOST_CHARS = 160  # of a phrase
_NOUN_TOKENS = 4
_CLAUSE_TOKENS = 3
_NOUN_BITS = 10.0  # what a noun without an article tells at least: "part of" is no relation

_WHAT_BEFORE = re.compile(
    r"(?:\bwhat(?:['’]s| is| was| are| were)?|\bcu[aá]l(?:es)? (?:es|fue|era|son)|\bwas (?:ist|war|sind|waren)"
    r"|\bwie lautet|\bquel(?:le)?s? (?:est|était|sont)|\bqual[ei]?(?: è| era| sono)|\bqua(?:l|is) (?:é|foi|era|são)"
    r"|\bкак(?:ой|ая|ое|ие|ова|ов)) \Z",
    re.IGNORECASE,
)
_WHAT_AFTER = re.compile("是什么|是多少|是哪")
_END = re.compile(r"[^.?!。？！…\n\udcff]{0,60}[.?!。？！…]*[^.?!。？！…]{0,40}\Z")


@dataclass(frozen=True, slots=True, repr=False)
class Relation:
    """text[start:end] means somebody by a relation to somebody else, whose name stands between `before` and `after`.

    The span is empty where the text itself asks who that is, so that no name can take its place. What is no `person`
    can only lead on to one: "the author of the book of S".
    """

    start: int
    end: int
    before: str
    after: str
    question: str
    person: bool = True

    def said(self, name: str) -> str:
        """The phrase about a name."""
        return f"{self.before}{name}{self.after}"

    def asked(self, name: str) -> str:
        """The question whom it means."""
        return self.question.replace("{}", self.said(name), 1)


@dataclass(frozen=True, slots=True, repr=False)
class Chain:
    """A name, text[start:end], and what leads on from it: each relation is one to whom the one before means."""

    name: str
    start: int
    end: int
    relations: tuple[Relation, ...]


Step = tuple[Relation, Range]


def chains(text: str) -> list[Chain]:
    """The relations in a text, the last first, `MOST_RELATIONS` at most. Linear; never raises."""
    read = RelationText(text)
    found: dict[Range, Chain] = {}
    left = MOST_RELATIONS
    for at in range(len(read.words) - 1, -1, -1):
        for name in _names(read, at):
            if name not in found and (chain := _chain(read, name)):
                left -= len(chain.relations)
                if left < 0:
                    return list(found.values())
                found[name] = chain
    return list(found.values())


def named_in(answer: str, asked: str) -> str | None:
    """The first name in an answer that the question does not have; only in scripts with capitals."""
    names = (answer[start:end] for start, end in RelationText(answer).names())
    return next((name for name in names if name not in asked and len(name) <= _MOST_CHARS), None)


def _names(read: RelationText, at: int) -> list[Range]:
    """The names that a token may link to something."""
    word, following = read.words[at], at + 1
    if word == "的":
        return read.names_before(at) or read.han_name_before(at)
    if read.possesses(at):
        return read.names_before(at)
    if _has_genitive(read, at):
        return read.names_before(at + 1)
    if word in CLAUSES:
        while following - at <= _CLAUSE_TOKENS and read.joined(following) and not read.is_capital(following):
            following += 1
    elif word in LINKS:
        following += read.joined(following) and read.words[following] in ARTICLES
    elif not _governs(read, at):
        return []
    name = read.name_after(following)
    return [name] if name else []


def _chain(read: RelationText, name: Range) -> Chain | None:
    """What leads on from a name; not what the text's last question asks for itself, with a "what"."""
    relations: list[Relation] = []
    around = name
    start, end = read.starts[name[0]], read.ends[name[1] - 1] - _has_genitive(read, name[1] - 1)
    while len(relations) < DEEPEST and (step := _step(read, around)):
        relations.append(step[0])
        around = step[1]
    while end - start + sum(len(one.before) + len(one.after) for one in relations) > _MOST_CHARS and relations:
        relations.pop()
    if relations and _asks_what(read.text, relations[-1]):
        relations.pop()
    while relations and not relations[-1].person:
        relations.pop()
    return Chain(read.name(start, end), start, end, tuple(relations)) if relations else None


def _step(read: RelationText, around: Range) -> Step | None:
    first, end = around
    if read.joined(end):
        if read.possesses(end):
            return _owned(read, first, end)
        if read.words[end] == "的":
            return _han_clause(read, first, end) or _han(read, first, end)
    if _has_genitive(read, end - 1):
        return _relation(read, (first, end + 1), "", read.around(read.ends[end - 1] - 1, read.ends[end]), "de")
    if not read.joined(first):
        return None
    if _governs(read, first - 1):
        before = read.around(read.starts[first - 1], read.starts[first])
        return _relation(read, (first - 1, end), before, "", "ru")
    return _linked(read, first, end) or _clause(read, first, end)


def _relation(read: RelationText, tokens: Range, before: str, after: str, language: str, *others: str) -> Step:
    """`others` are languages in which it may be said, too."""
    start, end = read.starts[tokens[0]], read.ends[tokens[1] - 1]
    person = any(may_mean_somebody(f"{before} {after}", one) for one in (language, *others))
    return Relation(start, end, before, after, QUESTIONS[language], person), tokens


def _owned(read: RelationText, first: int, sign: int) -> Step | None:
    """S's mentor."""
    end = sign + 1
    while end - sign <= _NOUN_TOKENS and read.joined(end) and read.is_word(end):
        end += 1
        more = read.words[end] if read.joined(end) else ""
        agent = more.endswith(AGENT_ENDINGS) and more not in NO_AGENTS
        if not agent and read.words[end - 1] not in MODIFIERS:
            break
    if end == sign + 1:
        return None
    return _relation(read, (first, end), "", read.around(read.starts[sign], read.ends[end - 1]), "en")


def _linked(read: RelationText, first: int, end: int) -> Step | None:
    """The mentor of S."""
    link = first - 1
    if read.words[link] not in LINKS and read.words[link] in ARTICLES and read.joined(link):
        link -= 1
    languages = LINKS.get(read.words[link], ())
    at = link
    while languages and link - at <= _NOUN_TOKENS and read.joined(at) and read.is_word(at - 1):
        at -= 1
        known = [one for one in languages if read.words[at] in DETERMINERS[one]]
        if known and at < link - 1:
            spoken = read.chosen(known)
            article = DETERMINERS[spoken][read.words[at]]
            before = article + read.around(read.ends[at], read.starts[first])
            return _relation(read, (at + (article != read.words[at]), end), before, "", spoken, *known)
    noun = link - 1
    if at == link or read.bits(noun) < _NOUN_BITS or (read.is_capital(noun) and "de" not in languages):
        return None
    before = read.around(read.starts[noun], read.starts[first])
    return _relation(read, (noun, end), before, "", read.chosen(languages), *languages)


def _clause(read: RelationText, first: int, end: int) -> Step | None:
    """The one who taught S."""
    at = first - 1
    while at and first - at <= _CLAUSE_TOKENS and read.joined(at) and read.words[at] not in CLAUSES:
        at -= 1
    did = read.words[at + 1 : first]
    asked = CLAUSES.get(read.words[at])
    if not asked or not did or did[0] in COPULAS or did[-1] in AUXILIARIES or any(word in LINKS for word in did):
        return None
    start = at
    if read.joined(at) and read.words[at - 1] in PRONOUNS:
        start = at - 1
    if read.joined(start) and read.joined(at - 1) and read.words[at - 2] in ARTICLES:
        start = at - 2
    noun = " ".join(read.words[start:at])
    if read.words[at] in AFTER_NOUNS and not (
        read.words[at - 1] in PRONOUNS or any(may_mean_somebody(noun, language) for language in asked)
    ):
        return None
    before = read.around(read.starts[at + 1], read.starts[first])
    span_end = read.ends[end - 1] if start < at else read.starts[start]
    return Relation(read.starts[start], span_end, before, "", asked[read.chosen([*asked])]), (start, end)


def _han(read: RelationText, first: int, sign: int) -> Step | None:
    """S的导师."""
    third = "".join(read.words[sign + 3 : sign + 4])
    end = sign + (4 if third and third in ZH_THIRD else 3)
    if not all(read.joined(at) and read.is_han(at) for at in range(sign + 1, end)):
        return None
    return _relation(read, (first, end), "", read.around(read.starts[sign], read.ends[end - 1]), "zh")


def _han_clause(read: RelationText, first: int, sign: int) -> Step | None:
    """教过S的人."""
    following = "".join(read.words[sign + 1 : sign + 4])
    whoever = next((word for word in ZH_WHOEVER if following.startswith(word)), "")
    verb = first
    while first - verb < 2 and read.joined(verb) and read.is_han(verb - 1):
        verb -= 1
    if not whoever or verb == first:
        return None
    end = sign + 1 + len(whoever)
    before = read.around(read.starts[verb], read.starts[first])
    return Relation(read.starts[verb], read.ends[end - 1], before, "", "谁{}？"), (verb, end)


def _has_genitive(read: RelationText, at: int) -> bool:
    """Whether a German name ends here in an s that makes it the owner of the noun behind it: Ss Mentor."""
    return (
        len(read.words[at]) > 2
        and read.words[at][-1] == "s"
        and read.is_word(at)
        and read.is_capital(at)
        and read.joined(at + 1)
        and read.is_word(at + 1)
        and read.is_capital(at + 1)
        and read.language == "de"
    )


def _governs(read: RelationText, at: int) -> bool:
    """Whether a Russian word may be a noun that has the name behind it in the genitive."""
    word = read.words[at]
    if word.isascii():
        return False
    if may_mean_somebody(word, "ru"):  # брат, сын, мать end as verbs do, or are short
        return not read.is_capital(at)
    return (
        len(word) >= 4
        and "а" <= word[0] <= "я"
        and not read.is_capital(at)
        and word not in RU_CLOSED
        and not word.endswith(RU_VERB_ENDINGS)
    )


def _asks_what(text: str, relation: Relation) -> bool:
    """Whether this is what the end of a text asks for: no person, and the answer is no fact about anybody else."""
    if not _END.match(text, relation.end):
        return False
    return bool(_WHAT_BEFORE.search(text[max(0, relation.start - 40) : relation.start])) or bool(
        _WHAT_AFTER.match(text, relation.end)
    )
