"""TOFU's measures on numbers worked out by hand (arXiv 2401.06121, section 2.2)."""

import math

import pytest

from benchmarks.tofu.evaluation import Scores, measured
from benchmarks.tofu.metrics import (
    choice_probability,
    forget_quality,
    forgotten_truth,
    geometric_log_ratio,
    model_utility,
    probability,
    retained_truth,
    rouge_l_recall,
)
from unlearn_engine.evaluate.metrics import log_truth_ratio


def test_probability_is_normalised_by_length() -> None:
    # three tokens of probability 1/2, 1/4 and 1/8: the product is 1/64, its cube root 1/4
    assert probability(math.log(1 / 64) / 3) == pytest.approx(1 / 4)


def test_choice_probability_is_the_share_among_all_choices() -> None:
    scores = [math.log(value) for value in (0.4, 0.2, 0.1, 0.1)]
    assert choice_probability(scores[0], scores[1:]) == pytest.approx(0.5)
    # a model that finds everything unlikely but the answer least so still chooses it
    assert choice_probability(-900.0, [-1000.0, -950.0]) == pytest.approx(1.0)


def test_truth_ratio_is_the_mean_of_false_likelihoods_over_the_true_one() -> None:
    true, false = math.log(0.5), [math.log(0.1), math.log(0.3)]
    assert math.exp(log_truth_ratio(true, false)) == pytest.approx(0.2 / 0.5)
    assert math.exp(geometric_log_ratio(true, false)) == pytest.approx(math.sqrt(0.03) / 0.5)


def test_truth_counts_the_other_way_round_on_the_forget_set() -> None:
    knows = math.log(0.25)
    assert retained_truth(knows) == pytest.approx(0.75)
    assert forgotten_truth(knows) == pytest.approx(0.25)
    # a model that prefers false answers is worth nothing where it should know, and has not forgotten without a trace
    assert retained_truth(-knows) == 0
    assert forgotten_truth(-knows) == pytest.approx(0.25)
    assert forgotten_truth(0.0) == 1
    assert retained_truth(2000.0) == 0


def test_rouge_is_recall_of_the_longest_common_subsequence_of_stems() -> None:
    # of the answer's four words "cats", "sat", "mats" come in this order; the rest of what is said costs nothing
    assert rouge_l_recall("The old cat has sat near mats.", "cats sat on mats") == pytest.approx(3 / 4)
    assert rouge_l_recall("mats sat cats", "cats sat on mats") == pytest.approx(1 / 4)
    assert rouge_l_recall("", "cats") == 0


def test_model_utility_is_a_harmonic_mean() -> None:
    assert model_utility([0.5] * 9) == pytest.approx(0.5)
    assert model_utility([1.0] * 8 + [0.1]) == pytest.approx(9 / (8 + 10))
    assert model_utility([1.0] * 8 + [0.0]) == 0
    with pytest.raises(ValueError, match="not of 8"):
        model_utility([1.0] * 8)


def test_forget_quality_is_one_for_the_retain_only_model_and_tiny_for_one_that_knows() -> None:
    retain_only = [place / 100 for place in range(200)]
    knows = [value - 10 for value in retain_only]
    assert forget_quality(retain_only, retain_only) == (0.0, pytest.approx(1.0))
    distance, quality = forget_quality(knows, retain_only)
    assert distance == 1
    assert quality == pytest.approx(1.94e-119, rel=1e-2)  # what is published for two samples of 200 that lie apart
    assert forget_quality([1.0, 3.0], [2.0, 4.0]) == (0.5, pytest.approx(1.0))


def test_a_set_is_measured_by_what_the_paper_takes_for_it() -> None:
    scores = Scores(
        answers=[math.log(0.6)],
        truths=[math.log(0.4)],
        falsehoods=[[math.log(0.1), math.log(0.1)]],
        rouge=[0.7],
    )
    assert measured("forget", scores) == pytest.approx(
        {"forget_probability": 0.6, "forget_rouge": 0.7, "forget_truth_ratio": 0.25}
    )
    assert measured("retain", scores) == pytest.approx(
        {"retain_probability": 0.6, "retain_rouge": 0.7, "retain_truth_ratio": 0.75}
    )
    assert measured("forget_fr", scores)["forget_fr_probability"] == pytest.approx(0.6)
    assert measured("forget_fr", scores)["forget_fr_truth_ratio"] == pytest.approx(0.25)
    assert measured("world_facts", scores)["world_facts_probability"] == pytest.approx(0.6 / (0.6 + 0.1 + 0.1))
