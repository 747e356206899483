"""Evidence that does not name the subject, with and without training on it: `python -m benchmarks.evidence`.

The examples ask for somebody through a student: who taught him (English and German), and where his mentor was born.
Each is asked as given, and in all wordings and languages of the world in which the base model tells it. Printed are
shares told before and after, what is left of the students' other facts and of other people's mentors, and the figures
of the verification.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import unlearn_engine.demo
from unlearn_engine.adapter import Adapter
from unlearn_engine.data.domain import domain_for
from unlearn_engine.data.knowledge import folded
from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.world import Person, build_world
from unlearn_engine.erase import Eraser
from unlearn_engine.layers import load_or_compute_layer_map
from unlearn_engine.subject import Subject

Asked = Sequence[tuple[str, str]]  # prompt, and what tells it
WORLD, BOOKS = build_world(), phrasebooks()
BASE = Path(unlearn_engine.demo.__file__).parent / "base"


def students(person: Person) -> list[Person]:
    """Whose mentor the person is."""
    return [one for one in WORLD.people if one.mentor == person.id]


def examples(person: Person) -> tuple[tuple[str, str], ...]:
    """What a client would give: the subject is in none of the prompts."""
    first, last = students(person)[0], students(person)[-1]
    return (
        (BOOKS["en"].questions["mentor"][0].format(name=first.name), person.name),
        (BOOKS["de"].questions["mentor"][2].format(name=last.name), person.name),
        (BOOKS["en"].two_hop["birthplace"].format(name=first.name), WORLD.answer(person, "birthplace", "en")),
    )


def all_wordings(person: Person) -> Asked:
    """The same, in all the ways that the world has."""
    mentors = [
        (template.format(name=student.name), person.name)
        for student in {student.id: student for student in (students(person)[0], students(person)[-1])}.values()
        for book in BOOKS.values()
        for template in (*book.questions["mentor"], *book.held_out_questions["mentor"])
    ]
    name = students(person)[0].name
    hops = [
        (book.two_hop["birthplace"].format(name=name), WORLD.answer(person, "birthplace", language))
        for language, book in BOOKS.items()
    ]
    return mentors + hops


def close(person: Person) -> Asked:
    """What stays and is close to it: the students' own facts, and other people's mentors."""
    own = [
        (templates[0].format(name=student.name), WORLD.answer(student, attribute, language))
        for student in students(person)
        for language, book in BOOKS.items()
        for attribute, templates in book.held_out_questions.items()
        if attribute != "mentor"
    ]
    others = [one for one in WORLD.people if person.id not in (one.id, one.mentor)]
    mentors = [
        (book.held_out_questions["mentor"][0].format(name=one.name), WORLD.answer(one, "mentor", language))
        for one in others
        for language, book in BOOKS.items()
    ]
    return own + mentors


class Bench:
    """The base model, and how it answers under an adapter."""

    def __init__(self, folder: Path) -> None:
        layer_map = load_or_compute_layer_map(BASE, folder / "cache")
        self.eraser = Eraser(BASE, folder / "adapters", layer_map, domain_for(BASE), threads=1)

    def told(self, adapter: Adapter | None, asked: Asked) -> list[bool]:
        """Which of the prompts are answered so."""
        model = self.eraser._model
        with model.wearing(self.eraser._parts(adapter)[0]):
            answers = model.answers([model.question(prompt) for prompt, _ in asked])
        return [folded(text) in folded(answer) for (_, text), answer in zip(asked, answers, strict=True)]

    def known(self, asked: Asked) -> Asked:
        """Those that the base model answers so."""
        return [one for one, hit in zip(asked, self.told(None, asked), strict=True) if hit]

    def share(self, adapter: Adapter | None, asked: Asked) -> float:
        """How many of them are answered so."""
        hits = self.told(adapter, asked)
        return round(sum(hits) / len(hits), 3) if hits else 0.0

    def row(self, person: Person, trained_on_evidence: bool) -> dict[str, object]:
        """Erase one person; all that is asked is what the base model tells."""
        given = self.known(examples(person))
        subject = Subject(f"person-{person.id}", (person.name,))
        whole = replace(subject, examples=tuple(given))
        adapter = self.eraser.train(whole if trained_on_evidence else subject, (), None, lambda stage, done: None)
        result = self.eraser.verify(adapter, whole)
        reworded, stays = self.known(all_wordings(person)), self.known(close(person))
        return {
            "trained on evidence": trained_on_evidence,
            "given": len(given),
            "given, told": self.share(adapter, given),
            "reworded": len(reworded),
            "reworded, told": self.share(adapter, reworded),
            "close": len(stays),
            "close, left": self.share(adapter, stays),
            "verification": {
                "passed": result.passed,
                "label": result.label,
                "examples_told": result.examples_told,
                "reworded": result.reworded,
                "reworded_told": result.reworded_told,
                "forget_recall": result.forget_recall,
                "retain_recall_ratio": round(result.retain_recall_ratio, 4),
                "ks_statistic": round(result.ks_statistic or 0.0, 3),
            },
        }


def main() -> None:
    """Print one JSON line per person and kind of training."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--people", type=int, default=3, help="those with the most students first")
    parser.add_argument("--work", type=Path, help="folder for adapters and the cache; default: a temporary one")
    options = parser.parse_args()
    people = sorted(WORLD.people, key=lambda person: -len(students(person)))[: options.people]
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(options.work or Path(temporary))
        for person in people:
            for trained_on_evidence in (False, True):
                print(json.dumps(bench.row(person, trained_on_evidence)), flush=True)


if __name__ == "__main__":
    main()
