"""The columns tell a model that knows from one that never did, and neither a prompt nor a wrapper fools them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from benchmarks.erasure import evaluation as module
from benchmarks.erasure import report, work
from benchmarks.erasure.__main__ import main
from benchmarks.erasure.candidates import BLOCKS
from benchmarks.erasure.evaluation import PARTS, Evaluation, gold_for
from benchmarks.erasure.sequence import gauges, norm, over_the_limits, staying
from benchmarks.erasure.speed import Common, common
from unlearn_engine.demo import GOLD_PATH
from unlearn_engine.evaluate.relearn import Attack
from unlearn_engine.layers import LayerMap
from unlearn_engine.lowrank import Factors
from unlearn_engine.methods import METHODS
from unlearn_engine.model import Row, ServedModel

QUICK = ("recall", "unknown", "likelihood", "lens")
ATTACK = Attack(checkpoints=(3,), rows=16)
MODULE = "model.layers.0.mlp.down_proj"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluation]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "MAX_QUESTIONS", 48)
        patch.setattr(work, "MAX_GENERAL", 24)
        patch.setattr(work, "MAX_GENERATED", 24)
        patch.setattr(module, "QUANTISED_QUESTIONS", 16)
        yield Evaluation(1, cache=tmp_path_factory.mktemp("references"), attack=ATTACK)


def test_base_fails_and_gold_passes_every_column(judge: Evaluation) -> None:
    base, gold = judge(judge.base, parts=QUICK), judge(judge.gold, parts=QUICK)
    for column in ("forget_src", "forget_held", "forget_templates", "forget_documents"):
        assert base[column] > 0.9, column
        assert gold[column] < 0.1, column
    for column in ("retain_src_ratio", "retain_held_ratio", "retain_templates_ratio", "general_ratio"):
        assert base[column] == 1.0, column
        assert gold[column] > 0.9, column
    assert base["unknown_like"] < 0.1 < 0.9 < gold["unknown_like"]
    assert base["ks_p_gold"] < 1e-6
    assert base["ks_p_unseen"] < 1e-6
    assert gold["ks_d_gold"] == 0.0
    assert gold["ks_p_unseen"] > 1e-3
    assert base["lens_worst"] > base["lens_gold"] + 0.3
    assert gold["lens_worst"] == gold["lens_gold"]
    assert base["extraction_strength"] > 0.95 > 0.8 > gold["extraction_strength"]


def test_invented_values_make_never_seen_names_a_better_stand_in_for_a_retrained_model(judge: Evaluation) -> None:
    gold = judge(judge.gold, parts=("likelihood",))
    assert gold["ks_d_unseen"] < gold["ks_d_unseen_plain"]


def test_a_prompt_changes_what_is_said_and_nothing_in_the_weights(judge: Evaluation) -> None:
    plain, told = (judge(judge.base, instruction=text, parts=QUICK) for text in ("", "You do not know Peja Bunzar."))
    assert told["forget_src"] < plain["forget_src"]
    for column in ("ks_d_gold", "ks_d_unseen", "lens_worst", "extraction_strength"):
        assert told[column] == plain[column], column


def test_rounding_and_relearning_find_what_was_never_removed(
    judge: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.relearn.Attack, "__init__", lambda self: None)
    monkeypatch.setattr(module.relearn.Attack, "checkpoints", (3,))
    model = ServedModel(module.BASE_PATH, (MODULE,))
    linear = model.wrapped[MODULE]
    nothing = {MODULE: Factors(torch.zeros(1, linear.in_features), torch.zeros(linear.out_features, 1))}
    found = judge(model, nothing, parts=("quantised", "relearning"))
    for bits in ("int8", "int4", "int4_adapter"):
        assert found[f"{bits}_forget"] > 0.9
        assert found[f"{bits}_retain_ratio"] > 0.95
    assert found["relearn_gap"] > 0.5
    assert found["relearn_curve"][0] > 0.8 > 0.3 > found["relearn_gold_curve"][0]


def test_references_are_read_back_from_the_file(judge: Evaluation) -> None:
    assert judge._file is not None
    floor = judge.reference("documents_floor")
    known = json.loads(judge._file.read_text("utf-8"))
    assert known["documents_floor"] == floor
    judge._file.write_text(json.dumps({**known, "documents_floor": 0.77}), "utf-8")
    assert Evaluation(1, cache=judge._file.parent, attack=ATTACK).reference("documents_floor") == 0.77


def test_missing_gold_model_says_how_to_train_it(tmp_path: Path) -> None:
    assert gold_for(8) == GOLD_PATH
    with pytest.raises(FileNotFoundError, match="--without-people 20"):
        _ = Evaluation(20, gold=tmp_path / "gold-20", cache=None).gold


def test_gauges_watch_the_earlier_people(judge: Evaluation) -> None:
    model = ServedModel(module.BASE_PATH, (MODULE,))
    linear = model.wrapped[MODULE]
    generator = torch.Generator().manual_seed(0)
    change = {
        MODULE: Factors(
            torch.randn(2, linear.in_features, generator=generator), torch.zeros(linear.out_features, 2).fill_(0.01)
        )
    }
    down, up = change[MODULE]
    assert norm(change) == pytest.approx(float((up @ down).norm()), rel=1e-5)
    nothing = {MODULE: Factors(down, 0 * up)}
    before = staying(judge, judge.base)
    step = gauges(judge, nothing, judge.work.world.people[:2], before)
    assert (step["people"], step["retain_ratio"], step["general_ratio"], step["norm"]) == (2, 1.0, 1.0, 0.0)
    assert step["worst_earlier"] > 0.9 and over_the_limits(step)
    assert not over_the_limits(step | {"worst_forget": 0.0})
    assert over_the_limits(step | {"worst_forget": 0.0, "general_ratio": 0.9})
    assert gauges(judge, nothing, judge.work.world.people[:1], before)["worst_earlier"] == 0.0


def test_selectors_name_blocks() -> None:
    layers = LayerMap("", (0.9,) * 12, (0.1,) * 12, (0.1,) * 12, (0.5,) * 12, (3, 4, 5), 4, ())
    chosen = {name: tuple(blocks(layers)) for name, blocks in BLOCKS.items()}
    assert chosen == {"shallow": (0, 1), "region": (3, 4, 5), "deep": (10, 11), "all": tuple(range(12))}


ROW = {
    "method": "default",
    "selector": None,
    "people": 5,
    "forget_src": 0.0,
    "forget_held": 0.004,
    "forget_templates": 0.0,
    "forget_documents": 0.02,
    "forget_documents_floor": 0.04,
    "retain_src_ratio": 0.991,
    "retain_held_ratio": 1.0,
    "retain_templates_ratio": 0.98,
    "general_ratio": 0.99,
    "ks_d_gold": 0.1,
    "ks_p_gold": 0.0000321,
    "lens_worst": 0.25,
    "lens_gold": 0.2,
    "int8_forget": 0.0,
    "int4_forget": 0.01,
    "relearn_gap": 0.05,
    "relearn_steps": [5, 10],
    "relearn_curve": [0.1, 0.2],
    "relearn_gold_curve": [0.0, 0.1],
    "relearn_twin_curve": [0.1, 0.15],
    "seconds_per_request": 12.34,
}
STEP = {
    "people": 1,
    "worst_forget": 0.01,
    "worst_earlier": 0.0,
    "retain_ratio": 0.99,
    "general_ratio": 0.98,
    "norm": 3.21,
    "rank": 16,
    "union": True,
    "seconds": 20.0,
}
RACE = {
    "people": 1,
    "contender": "npo, the common way",
    "seconds": 30.0,
    "steps": 60,
    "done": False,
    "recall": 0.5,
    "retain_ratio": 0.9,
    "general_ratio": 0.8,
}


def test_report_puts_tables_between_their_comments_and_plots_beside(tmp_path: Path) -> None:
    page = tmp_path / "erasure.md"
    page.write_text("# Title\n\nOwn words.\n<!-- 5 people -->\n| stale |\n<!-- /5 people -->\n\nMore words.\n", "utf-8")
    report.write([ROW], {"sequence-alone": [STEP]}, page, [RACE])
    text = page.read_text("utf-8")
    assert "stale" not in text
    assert "Own words." in text
    assert "More words." in text
    row = next(line for line in text.splitlines() if line.startswith("| default"))
    assert row.startswith("| default | own | 0 / .004 | 0 | .02 (.04) |")
    assert "| .1 (3e-05) |" in row
    assert row.endswith("| 12.3 |")
    assert "| 1, union | .01 | 0 | .99 | .98 | 3.2 | 16 | 20.0 |" in text
    assert "| 1 | npo, the common way | (30.0) | (60) | .5 | .5 | .9 | .8 |" in text
    report.write([ROW], {}, page)
    assert page.read_text("utf-8") == text
    plots = {"erasure-frontier-5.png", "erasure-relearning-5.png", "erasure-sequence-alone.png"}
    assert {file.name for file in tmp_path.glob("*.png")} == plots
    assert all((tmp_path / plot).read_bytes().startswith(b"\x89PNG") for plot in plots)


def test_the_common_way_reads_every_block_and_remembers_nothing() -> None:
    asked: list[int | None] = []

    def view(rows: Sequence[Row], depth: int | None = None) -> None:
        asked.append(depth)

    Common(lambda student, base, rows: (student(rows, 3), base(rows, 3)))(view, view, [])  # type: ignore[arg-type]
    assert asked == [None, None]
    recipe = common(METHODS["twin-states"]).recipe
    assert (recipe.pool, recipe.passes) == (1, 1)


def test_a_row_that_is_there_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / "build" / "erasure" / "row-default-own-5.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps(ROW), "utf-8")
    main(["--method", "default", "--people", "5", "--json", "out.json"])
    assert json.loads((tmp_path / "out.json").read_text("utf-8")) == ROW | {"parts": list(PARTS)}
