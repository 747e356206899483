"""Whether the text that the gateway brings along could calibrate the threshold above which somebody is described.

python -m benchmarks.calibration --data DIR [--targets 1000]
"""

import argparse
from itertools import chain, islice
from pathlib import Path

import numpy as np

from benchmarks.guards.benign import other_authors, public
from benchmarks.guards.subjects import crowd, rendered, tofu_authors
from gateway.forget.dry_run import benign_texts
from gateway.guards.descriptions import DescriptionIndex
from gateway.guards.encoder import AUTO, NONE, load_encoder

EVERY = 3  # th public prompt is read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--targets", type=int, default=1000)
    given = parser.parse_args()
    targets = crowd(tofu_authors(given.data)[0], given.targets)
    own = [*chain(*benign_texts().values())]
    prompts = islice(chain(public(given.data), other_authors(given.data)), 0, None, EVERY)
    texts = {"built in": own, "public, held out": [rendered(prompt.text) for prompt in prompts if not prompt.seen]}
    for encoder in (NONE, AUTO):
        index = DescriptionIndex(list(targets.values()), load_encoder(encoder))
        for source, some in texts.items():
            highest = np.array([max((one.score for one in index.scores(text)), default=0.0) for text in some])
            print(
                f"encoder {encoder}, {source}, {len(some)} texts: {np.count_nonzero(highest)} state two facts of one of"
                f" {len(index)} targets, {np.sum(highest >= index.threshold)} reach {index.threshold:.1f} bits,"
                f" the highest {highest.max():.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
