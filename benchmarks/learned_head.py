"""Whether a head trained for each request would find descriptions in other words that the guard's index does not.

    python -m benchmarks.learned_head --data DIR

One logistic head for each person of the demonstration (ECO's prompt classifier, arXiv 2406.07933, one for each target)
over the mean word vector of a sentence, English. Trained on descriptions by two or three facts in the guard's words and
one set of templates, on the same about people who share some of the facts, and on half of the benign texts; measured on
other templates, on other words and on the other half. All thresholds are set on the measured half: kind to all alike.
"""

import argparse
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.descriptions import description, held_out, target, texts
from benchmarks.guards.mentions import Mentions
from gateway.guards.descriptions import DescriptionIndex
from gateway.guards.encoder import AUTO, Encoder, load_encoder
from gateway.guards.nearness import TELLING_BITS
from gateway.guards.normalise import BARRIER
from gateway.guards.words import surprisal, words_as_written
from unlearn_engine.demo.vocabulary import VALUES
from unlearn_engine.demo.world import Person, build_world

FACTS = (*VALUES, "phone")
OF_EACH = 150  # descriptions, and as many of people who share a fact or two
MENTIONS = 2880  # in all languages
STEPS, RATE, DECAY = 400, 0.05, 1e-5
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)  # bits for each unit of the head's logit

Scores = list[dict[str, float]]  # of each text: target -> score


def fits(described: Person, facts: Sequence[str], person: Person) -> bool:
    """Whether all that is told of somebody is true of a person."""
    return all(
        described.phone == person.phone if fact == "phone" else described.values[fact] == person.values[fact]
        for fact in facts
    )


def described(people: Sequence[Person], rng: random.Random) -> tuple[list[str], NDArray[np.float32]]:
    """Descriptions, and whom each fits, [descriptions, people]: half of them mix the facts of two people."""
    world = build_world()
    said, whom = [], []
    for person in people:
        for position in range(2 * OF_EACH):
            facts = rng.sample(FACTS, rng.choice((2, 3)))
            one = person
            if position % 2:
                other, changed = rng.choice(people), rng.sample(facts, rng.randrange(1, len(facts)))
                values = {**person.values, **{fact: other.values[fact] for fact in changed if fact in VALUES}}
                one = replace(person, values=values, phone=other.phone if "phone" in changed else person.phone)
            said.append(description(world, one, "en", facts, rng))
            whom.append([fits(one, facts, each) for each in people])
    return said, np.array(whom, dtype=np.float32)


def sentences(text: str) -> list[str]:
    """What stands between full stops and question marks."""
    return re.split(r"(?<=[.?!])\s+", text.strip(BARRIER))


def means(encoder: Encoder, text: str) -> NDArray[np.float32]:
    """The mean vector, of length one, of the telling words of each sentence, [sentences, dimensions]."""
    found = []
    for sentence in sentences(text):
        stems, written = words_as_written(sentence)
        vectors = encoder.read(written)[[surprisal(stem) >= TELLING_BITS for stem in stems]]
        summed = vectors.sum(axis=0)
        found.append(summed / max(float(np.linalg.norm(summed)), 1e-6))
    return np.array(found, dtype=np.float32)


def trained(said: NDArray[np.float32], whom: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and offset of each head; said [texts, dimensions], whom [texts, heads]."""
    torch.manual_seed(0)
    inputs, wanted = torch.from_numpy(said), torch.from_numpy(whom)
    heads = torch.nn.Linear(said.shape[1], whom.shape[1])
    optimiser = torch.optim.Adam(heads.parameters(), lr=RATE, weight_decay=DECAY)
    loss = torch.nn.BCEWithLogitsLoss(pos_weight=(1 - wanted).sum(0) / wanted.sum(0))
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss(heads(inputs), wanted).backward()
        optimiser.step()
    return heads.weight.detach().numpy(), heads.bias.detach().numpy()


def threshold(benign: Scores, allowed: int) -> float:
    """The lowest that at most so many benign texts exceed."""
    highest = sorted((max(scores.values(), default=-np.inf) for scores in benign), reverse=True)
    return highest[allowed]


def recall(scores: Scores, people: Sequence[str], above: float) -> float:
    """The share of texts in which the right person's score is above a threshold."""
    return float(np.mean([one.get(who, -np.inf) > above for one, who in zip(scores, people, strict=True)]))


def measure(data: Path) -> Mapping[str, Mapping[str, float]]:
    """Manner of reading -> kind of mention -> recall, all at the index's own rate of false positives."""
    encoder = load_encoder(AUTO)
    assert encoder is not None
    world, rng = build_world(), random.Random(0)
    people = world.people
    ids = [str(person.id) for person in people]
    index = DescriptionIndex([target(world, person) for person in people], encoder)

    english = [text for (_, language), some in texts(data).items() if language == "en" for text in some]
    benign = [text for text in english if held_out(text)]
    said, whom = described(people, rng)
    facts = [means(encoder, max(sentences(text), key=len))[0] for text in said]  # the other sentence has none
    nobody = np.concatenate([means(encoder, text) for text in english if not held_out(text)])
    labels = np.concatenate([whom, np.zeros((len(nobody), len(people)), dtype=np.float32)])
    weight, offset = trained(np.concatenate([np.array(facts), nobody]), labels)

    def by_head(text: str) -> dict[str, float]:
        return dict(zip(ids, (means(encoder, text) @ weight.T + offset).max(axis=0).tolist(), strict=True))

    def by_index(text: str) -> dict[str, float]:
        return {found.target: found.score for found in index.scores(text)}

    kinds = {"benign": (benign, [""] * len(benign))}
    for kind in ("descriptions", "descriptions_partly_in_other_words", "descriptions_in_other_words"):
        drawn = [mention for mention in Mentions(world).kinds()[kind](MENTIONS) if mention.label.startswith("en")]
        kinds[kind] = [mention.text for mention in drawn], [str(mention.person.id) for mention in drawn]
    heads = {kind: [by_head(text) for text in said] for kind, (said, _) in kinds.items()}
    found = {kind: [by_index(text) for text in said] for kind, (said, _) in kinds.items()}
    manners: dict[str, dict[str, Scores]] = {"head": heads}
    for share in WEIGHTS:
        manners[f"index + {share:g} x head, on its candidates"] = {
            kind: [
                {who: score + share * learned[who] for who, score in one.items()}
                for one, learned in zip(found[kind], heads[kind], strict=True)
            ]
            for kind in kinds
        }
    flagged = sum(max(one.values(), default=0.0) >= index.threshold for one in found["benign"])
    print({kind: len(said) for kind, (said, _) in kinds.items()}, "benign texts flagged by the index:", flagged)
    figures = {}
    for manner, scores in manners.items():
        for allowed in (flagged, 2 * flagged):
            above = threshold(scores["benign"], allowed)
            row = {kind: recall(scores[kind], who, above) for kind, (_, who) in kinds.items() if kind != "benign"}
            figures[f"{manner}, {allowed} false positives"] = row
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    for manner, row in measure(parser.parse_args().data).items():
        print(f"{manner:60}", *(f"{kind} {share:.3f}" for kind, share in row.items()), sep="  ")


if __name__ == "__main__":
    main()
