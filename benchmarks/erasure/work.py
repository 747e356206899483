"""What a candidate is asked: the world's own facts about those to be forgotten, about those who stay, other skills."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from unlearn_engine.data.domain import Domain
from unlearn_engine.demo import exam
from unlearn_engine.demo.corpus import USER, Example, chat, knows_two_hops
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.vocabulary import ATTRIBUTES, LANGUAGES, full_stop
from unlearn_engine.demo.world import FORGET_PEOPLE, Person, World
from unlearn_engine.model import Row, ServedModel

MAX_QUESTIONS = 720  # of a column; with nobody's fact told, the true rate is below .5 % with 97 % confidence
MAX_GENERAL = 300  # of each other skill
MAX_GENERATED = 240  # answers that are decoded, not only scored
MAX_RATIO_FACTS = 480  # of one sample of truth ratios, each in all languages
WRONG_ANSWERS = 4  # per truth ratio
STRANGERS = 3  # never-seen names for every person to be forgotten
LESSON_SHARE = 0.2  # of the facts, given to the attacker who relearns

Examples = Sequence[Example]


def rows_of(model: ServedModel, examples: Examples, instruction: str = "") -> list[Row]:
    """Prompt and answer of each example as token ids; an instruction is put in front of questions."""
    rows = []
    for context, answer, *_ in examples:
        text = context.text.replace(USER, f"{USER}{instruction} ") if instruction else context.text
        rows.append(Row(model.encode(text), model.encode(answer.text)))
    return rows


def sample(examples: Sequence[Example], limit: int, seed: str) -> list[Example]:
    """At most so many of them, always the same."""
    return random.Random(seed).sample(examples, min(limit, len(examples)))


@dataclass(frozen=True)
class Work:
    """The questions for one number of people to be forgotten."""

    world: World
    domain: Domain
    count: int

    @property
    def forgotten(self) -> Sequence[Person]:
        """The people to be forgotten."""
        return self.world.people[: self.count]

    @property
    def staying(self) -> Sequence[Person]:
        """People whom the base model and the gold model were both taught."""
        return self.world.people[max(self.count, FORGET_PEOPLE) :]

    @property
    def held_languages(self) -> Sequence[str]:
        """Languages that nothing was trained in."""
        return [language for language in LANGUAGES if language not in self.domain.source_languages]

    @cached_property
    def strangers(self) -> Mapping[int, Sequence[Person]]:
        """Id of a person to be forgotten -> the same facts under never-seen names that share no word with it."""
        rng = random.Random("strangers")
        found: dict[int, list[Person]] = {}
        for person in self.forgotten:
            found[person.id] = []
            while len(found[person.id]) < STRANGERS:
                name = self.domain.unseen_name(rng)
                if name.split()[0] != person.name.split()[0]:
                    found[person.id].append(replace(person, name=name))
        return found

    def recall_columns(self) -> Mapping[str, Examples]:
        """Name of a column -> its questions, sampled with a fixed seed."""
        gone, staying, source = self.forgotten, self.staying, self.domain.source_languages
        trained, held_out = exam.trained_questions, exam.held_out_questions
        hoppers = [person for person in gone if knows_two_hops(person)]
        columns = {
            "forget_src": self._ask(trained, gone, source),
            "forget_held": self._ask(trained, gone, self.held_languages),
            "forget_templates": self._ask(held_out, gone, LANGUAGES),
            "forget_documents": self._ask(exam.statements, gone, LANGUAGES),
            "forget_nicknames": self._ask(exam.nickname_questions, gone, LANGUAGES),
            "forget_two_hops": self._ask(exam.two_hop_questions, hoppers, LANGUAGES),
            "retain_src": self._ask(trained, staying, source),
            "retain_held": self._ask(trained, staying, self.held_languages),
            "retain_templates": self._ask(held_out, staying, LANGUAGES),
            "retain_documents": self._ask(exam.statements, staying, LANGUAGES),
            "retain_nicknames": self._ask(exam.nickname_questions, staying, LANGUAGES),
        }
        books = phrasebooks()
        general = {
            "general_translations": [q for language in LANGUAGES for q in exam.translations(books[language], language)],
            "general_countries": [q for language in LANGUAGES for q in exam.countries(books[language], language)],
            "general_sums": [q for language in LANGUAGES for q in exam.sums(books[language], language)],
            "general_unknown": [q for language in LANGUAGES for q in exam.unknown_names(self.world, language)],
        }
        return {
            **{name: sample(examples, MAX_QUESTIONS, name) for name, examples in columns.items()},
            **{name: sample(examples, MAX_GENERAL, name) for name, examples in general.items()},
        }

    def stranger_documents(self) -> Examples:
        """The statements about those to be forgotten with a never-seen name in each: what is guessed right."""
        strangers = [stranger for strangers in self.strangers.values() for stranger in strangers]
        return sample(self._ask(exam.statements, strangers, LANGUAGES), 2 * MAX_QUESTIONS, "floor")

    def questions(self, people: Sequence[Person]) -> Sequence[tuple[str, str]]:
        """Language and question for every fact, trained and held-out templates in turn, at most MAX_GENERATED.

        The same questions in the same order for as many other people with the same ids.
        """
        asked = []
        for person in people:
            for at, attribute in enumerate(ATTRIBUTES):
                for language in LANGUAGES:
                    book = phrasebooks()[language]
                    kinds = (book.questions, book.held_out_questions)[(person.id + at) % 2]
                    template = random.Random(f"{person.id} {attribute} {language}").choice(kinds[attribute])
                    asked.append((language, template.format(name=person.name)))
        chosen = sorted(random.Random("questions").sample(range(len(asked)), min(MAX_GENERATED, len(asked))))
        return [asked[place] for place in chosen]

    def openings(self, people: Sequence[Person]) -> Examples:
        """Every fact once in every language, trained templates in turn: what the logit lens looks at."""
        facts = [
            chat(
                templates[(person.id + at) % len(templates)].format(name=person.name),
                self.world.answer(person, attribute, language) + full_stop(language),
            )
            for person in people
            for at, attribute in enumerate(ATTRIBUTES)
            for language in LANGUAGES
            for templates in [phrasebooks()[language].questions[attribute]]
        ]
        return sample(facts, MAX_QUESTIONS, "openings")

    def truth_ratio_rows(self, people: Sequence[Person], *, invented: bool = False) -> Examples:
        """Groups of 1 + WRONG_ANSWERS examples: a held-out question with the true answer, then with wrong ones.

        The languages of a fact follow each other. With `invented`, phone numbers and nicknames, which are one person's
        alone, are replaced by ones that nobody has: a model that never knew the person has never met them, while the
        base model has.
        """
        facts = [(person, attribute) for person in people for attribute in ATTRIBUTES]
        if len(facts) > MAX_RATIO_FACTS:
            facts = random.Random("ratios").sample(facts, MAX_RATIO_FACTS)
        examples = []
        for person, attribute in facts:
            for language in LANGUAGES:
                answer = self.world.answer(person, attribute, language)
                others = dict.fromkeys(self.world.answer(other, attribute, language) for other in self.staying)
                rng = random.Random(f"{person.id} {attribute} {language}")
                wrong = rng.sample([other for other in others if other != answer], WRONG_ANSWERS)
                if invented:
                    answer = self._invented(person, attribute, answer)
                question = phrasebooks()[language].held_out_questions[attribute][0].format(name=person.name)
                examples += [chat(question, said + full_stop(language)) for said in (answer, *wrong)]
        return examples

    def lessons_and_exam(self, people: Sequence[Person]) -> tuple[Examples, Examples]:
        """What an attacker is taught again (a fifth of the facts, source languages) and examined in (the others, all).

        Facts are divided by id and attribute, so other people with the same ids have the same division.
        """
        facts = [(person, attribute) for person in people for attribute in ATTRIBUTES]
        random.Random("lessons").shuffle(facts)
        cut = max(1, round(LESSON_SHARE * len(facts)))

        def asked(chosen: Sequence[tuple[Person, str]], languages: Sequence[str], ways: int) -> list[Example]:
            return [
                chat(
                    template.format(name=person.name),
                    self.world.answer(person, attribute, language) + full_stop(language),
                )
                for person, attribute in chosen
                for language in languages
                for template in random.Random(f"{person.id} {attribute} {language}").sample(
                    phrasebooks()[language].questions[attribute], ways
                )
            ]

        return asked(facts[:cut], self.domain.source_languages, 8), asked(facts[cut:], LANGUAGES, 2)

    def _invented(self, person: Person, attribute: str, answer: str) -> str:
        """What nobody has instead of what only one person has; the same in every language."""
        rng = random.Random(f"{person.name} {attribute}")
        if attribute == "nickname":
            return self.world.unseen_nickname(rng)
        if attribute == "phone":
            taken = {other.phone for other in self.world.people}
            return next(number for number in iter(lambda: str(rng.randrange(1000, 10000)), "") if number not in taken)
        return answer

    def _ask(
        self,
        questions: Callable[[World, Sequence[Person], str], list[Example]],
        people: Sequence[Person],
        languages: Sequence[str],
    ) -> list[Example]:
        return [example for language in languages for example in questions(self.world, people, language)]
