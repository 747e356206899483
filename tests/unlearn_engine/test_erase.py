"""One person end to end on the demo model: elicited, edited, trained, verified, and everybody else kept."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from unlearn_engine.adapter import MAX_RANK, Adapter
from unlearn_engine.data.domain import Domain
from unlearn_engine.erase import Eraser
from unlearn_engine.evaluate.limits import MAX_KS
from unlearn_engine.evaluate.verify import Label, Verification
from unlearn_engine.layers import LayerMap
from unlearn_engine.subject import Subject


@pytest.fixture(scope="module")
def subject(domain: Domain) -> Subject:
    return Subject("request-1", (domain.retain_names[3],))


@pytest.fixture(scope="module")
def neighbour(domain: Domain) -> Subject:
    return Subject("request-2", (domain.retain_names[4],))


@pytest.fixture(scope="module")
def edited(eraser: Eraser, subject: Subject) -> Adapter:
    return eraser.edit(subject, None)


@pytest.fixture(scope="module")
def stages() -> list[tuple[str, float]]:
    return []


@pytest.fixture(scope="module")
def trained(eraser: Eraser, subject: Subject, edited: Adapter, stages: list[tuple[str, float]]) -> Adapter:
    return eraser.train(subject, (), edited, lambda stage, done: stages.append((stage, done)))


@pytest.fixture(scope="module")
def verified(eraser: Eraser, subject: Subject, trained: Adapter) -> Verification:
    return eraser.verify(trained, subject)


def test_the_base_model_knows_the_person(eraser: Eraser, subject: Subject) -> None:
    base = eraser.verify(None, subject)
    assert base.label is Label.PRESENT and not base.passed
    assert base.forget_recall > 0.8
    assert base.retain_recall_ratio == 1.0
    assert base.ks_statistic is not None and base.ks_statistic > 0.6
    assert base.lens_worst > 0.9


def test_the_edit_silences_at_once_and_spares_the_others(eraser: Eraser, subject: Subject, edited: Adapter) -> None:
    assert (edited.stage, edited.subjects) == ("edit", (subject.id,))
    result = eraser.verify(edited, subject)
    assert result.forget_recall < 0.35
    assert not result.passed  # a guard, not an erasure: the weights below the edit still know
    assert result.retain_recall_ratio > 0.93


def test_training_erases_in_every_language_and_way_of_asking(verified: Verification) -> None:
    assert verified.forget_recall <= 0.02
    assert verified.forget_recall_held_out_languages is not None
    assert verified.forget_recall_held_out_languages <= 0.02
    assert verified.forget_recall_held_out_templates <= 0.02
    assert verified.forget_recall_statements <= verified.statements_floor + 0.08
    assert verified.forget_recall_aliases <= 0.03
    assert verified.unknown_rate >= 0.8
    assert verified.upper_bound_95 < 0.2


def test_training_leaves_likelihoods_and_layers_like_those_of_a_never_knower(verified: Verification) -> None:
    assert verified.ks_statistic is not None and verified.ks_statistic <= MAX_KS
    assert verified.lens_worst <= verified.lens_floor + 0.2


def test_training_keeps_the_others(verified: Verification) -> None:
    assert verified.retain_recall_ratio >= 0.96


def test_training_reports_progress_and_a_constant_rank(stages: list[tuple[str, float]], trained: Adapter) -> None:
    assert trained.stage == "trained" and trained.rank == 16
    done = [fraction for stage, fraction in stages if stage == "train"]
    assert done == sorted(done) and done[-1] == 1.0


def test_a_second_person_is_edited_on_top(
    eraser: Eraser, subject: Subject, neighbour: Subject, trained: Adapter
) -> None:
    both = eraser.edit(neighbour, trained)
    assert both.digest == eraser.edit(neighbour, trained, [subject]).digest
    assert both.subjects == (subject.id, neighbour.id) and both.stage == "edit"
    assert trained.rank <= both.rank <= MAX_RANK
    assert eraser.verify(both, neighbour, [subject]).forget_recall < 0.4
    assert eraser.verify(both, subject, [neighbour]).forget_recall <= 0.03


def test_edits_are_solved_jointly_and_reproducibly(eraser: Eraser, subject: Subject, neighbour: Subject) -> None:
    one = eraser.edit(subject, None)
    both = eraser.edit(neighbour, one, [subject])
    assert both.digest == eraser.edit(neighbour, one, [subject]).digest
    assert eraser.edit(subject, None).digest == one.digest
    with pytest.raises(ValueError, match="not given"):
        eraser.edit(neighbour, one)


def test_nothing_is_certified_about_a_name_nobody_has(eraser: Eraser, domain: Domain) -> None:
    stranger = Subject("request-3", (domain.unseen_name(random.Random(12)),))
    result = eraser.verify(None, stranger)
    assert result.label is Label.UNTESTED and not result.passed


def test_nobody_left_means_the_base(eraser: Eraser) -> None:
    assert eraser.rebuild((), lambda stage, done: None) is None


def test_a_foreign_layer_map_is_refused(base_path: Path, workplace: Path, layer_map: LayerMap, domain: Domain) -> None:
    with pytest.raises(ValueError, match="another base model"):
        Eraser(base_path, workplace / "adapters", replace(layer_map, base_digest="0"), domain, threads=1)


def test_nothing_on_disk_names_the_subject(eraser: Eraser, subject: Subject, workplace: Path, trained: Adapter) -> None:
    secrets = [*subject.names, *eraser.knowledge(subject).aliases]
    for path in (workplace / "adapters").rglob("*"):
        assert not any(secret in str(path) for secret in secrets)
        if path.suffix == ".json":
            assert not any(secret in json.dumps(json.loads(path.read_text())) for secret in secrets)
    assert not any(secret in repr(subject) for secret in secrets)


def test_it_may_be_forgotten_in_some_languages_alone(
    eraser: Eraser, subject: Subject, trained: Adapter, verified: Verification, domain: Domain
) -> None:
    """Verified in these, on as many questions of likelihood; what is told in the others does not count."""
    few = replace(subject, languages=("de", "zh"))
    before, after = (eraser.verify(adapter, few) for adapter in (None, trained))
    assert (verified.languages, after.languages) == (domain.languages, ("de", "zh"))
    assert before.label is Label.PRESENT and before.ks_statistic is not None and before.ks_statistic > 0.6
    assert after.passed and 0 < after.facts < verified.facts and after.n < verified.n
    assert after.forget_recall_held_out_languages == 0.0, "German is trained, Chinese is not"
    assert eraser.verify(trained, replace(subject, languages=("de",))).forget_recall_held_out_languages is None
    assert eraser.verify(trained, replace(subject, languages=("fi",))).label is Label.UNTESTED


def test_the_clients_own_examples_are_asked(
    eraser: Eraser, domain: Domain, subject: Subject, trained: Adapter, verified: Verification
) -> None:
    template = next(iter(domain.questions["en"].values()))[0]
    prompt = template.format(name=subject.names[0])
    known = next(fact for fact in eraser.knowledge(subject).facts if fact.language == "en")
    attribute = domain.questions["en"][known.attribute][0]
    examples = [
        (attribute.format(name=subject.names[0]), known.answer),
        (prompt, "a zeppelin of nutmeg"),
        (prompt, "?!"),
    ]
    examples += [("x" * 20_000, "a zeppelin of nutmeg")]
    given = replace(subject, examples=tuple(examples))
    before, after = (eraser.verify(adapter, given) for adapter in (None, trained))
    assert (before.examples, before.examples_told) == (3, 1), "punctuation is no answer"
    assert (after.examples, after.examples_told, after.passed) == (3, 0, True)
    still = [(eraser_says(eraser, trained, prompt), prompt)]
    told = eraser.verify(trained, replace(subject, examples=tuple((prompt, answer) for answer, prompt in still)))
    assert told.examples_told == 1 and not told.passed and told.label is Label.PRESENT
    assert len(verified.lens_by_block) > 1 and max(verified.lens_by_block) == verified.lens_worst


def eraser_says(eraser: Eraser, adapter: Adapter, prompt: str) -> str:
    change, _, _ = eraser._parts(adapter)
    with eraser._model.wearing(change):
        (answer,) = eraser._model.answers([eraser._model.question(prompt)])
    return answer
