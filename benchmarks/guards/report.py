"""The figures beside what they must reach, on the screen and in docs/guards.md, with plots."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from rich.console import Console
from rich.table import Table

from benchmarks.guards.goals import MOST_LEAKS, RECALL_GOALS, Figures, verdicts
from benchmarks.guards.plotted import detection_plot, leaks_plot, recall_plot
from unlearn_engine.demo.measure import write_table

DOCUMENTATION = Path("docs/guards.md")
NOT_MEASURED = "not measured"


def show(figures: Figures) -> None:
    """Print what was measured."""
    printed = Table("what", "key", "must reach", "measured", "")
    for goal, value in verdicts(figures):
        if value is not None:
            met = "yes" if goal.met(value) else "[red]NO[/]"
            printed.add_row(
                goal.what, goal.key, f"{goal.relation} {goal.written(goal.bound)}", goal.written(value), met
            )
    Console().print(printed)


def write(figures: Figures, documentation: Path = DOCUMENTATION) -> None:
    """Put tables and plots between their comments; what was not measured stays as it is."""
    known = {row[1]: row for row in _rows(documentation, "must reach")}
    _put(documentation, "must reach", goals_table(figures, known))
    for label, (needed, table, plot) in SECTIONS.items():
        if needed in figures:
            text = table(figures)
            if plot is not None:
                file = documentation.with_name(f"guards-{label.replace(' ', '-')}.png")
                plot(figures, file)
                text += f"\n\n![{label.capitalize()}]({file.name})"
            _put(documentation, label, text)
    rows = {row[0]: row for row in _rows(documentation, "circumstances")}
    for part, one in figures["measured"].items():
        load = f"{one['load_before']:.1f} / {one['load_after']:.1f}"
        rows[part] = [part, one["tree"], f"{one['seconds']:.0f}", load]
    _put(
        documentation,
        "circumstances",
        _markdown([["part", "commit", "seconds", "load before / after"], *rows.values()]),
    )


def goals_table(figures: Figures, known: Mapping[str, Sequence[str]] = MappingProxyType({})) -> str:
    """All goals; what is missed says so. `known` are rows of before, by key, for what was not measured."""
    lines = [["what", "key", "must reach", "measured", ""]]
    for goal, value in verdicts(figures):
        key = f"`{goal.key}`"
        if value is None:
            cells = known[key][3:] if key in known else [NOT_MEASURED, ""]
        else:
            cells = [goal.written(value), "" if goal.met(value) else "**missed**"]
        lines.append([goal.what, key, f"{goal.relation} {goal.written(goal.bound)}", *cells])
    return _markdown(lines)


def detection_table(figures: Figures) -> str:
    """Milliseconds by number of targets: reading, adding one; then the long prompts."""
    lines = [["targets", "p50", "p99", "longest", "one more: p50", "longest", "of it compile", "tables", "audit"]]
    for size, row in figures["detection"].items():
        added = figures["register"].get(size)
        keys = ("p50", "max", "compile_p50", "tables_p50", "audit_p50")
        cells = [_ms(added[key]) for key in keys] if added else ["-"] * 5
        lines.append([f"{int(size):,}", _ms(row["p50"]), _ms(row["p99"]), _ms(row["max"]), *cells])
    long = [["100 kB prompt", "1 target", f"{figures['detection_targets'][-1]:,} targets"]]
    long += [
        [kind, _ms(figures["long_prompt_ms_1"][kind]), _ms(value)] for kind, value in figures["long_prompt_ms"].items()
    ]
    facts = (
        f"p50 over {figures['detection_prompts']:,} prompts of {figures['detection_characters_p50']:.0f} characters "
        f"(p50; p99 {figures['detection_characters_p99']:,.0f}). With {figures['detection_targets'][-1]:,} targets: "
        f"names {_ms(figures['lexical_ms'])} / {_ms(figures['lexical_ms_p99'])} ms (p50 / p99), "
        f"descriptions {_ms(figures['descriptions_ms'])} / {_ms(figures['descriptions_ms_p99'])} ms; "
        f"growth over all prompts together {figures['growth_total']:.2f}, median of each prompt's own ratio "
        f"{figures['growth_paired']:.2f}. Memory {figures['memory_mb']:,.0f} MB: the requests with their "
        f"{figures['memory_phrases']:,} facts {figures['memory_targets_mb']:,.0f}, the rest compiled from nothing in "
        f"{figures['compile_s']:.1f} s."
    )
    spoken = [["language", "n", "p50, 1 target", f"p50, {figures['detection_targets'][-1]:,} targets", "growth", "p99"]]
    for language, row in sorted(figures["detection_by_language"].items()):
        cells = [_ms(row["few_p50"]), _ms(row["many_p50"]), f"{row['growth']:.2f}", _ms(row["many_p99"])]
        spoken.append([language, str(row["n"]), *cells])
    return "\n\n".join((_markdown(lines), facts, _markdown(spoken), _markdown(long)))


def recall_table(figures: Figures) -> str:
    """By kind, with bounds, and what is left when only the name is known."""
    heads = ["name alone known", "among 1,000 targets", "under `precision`"]
    lines = [["kind", "must reach", "recall", "at least (95 %)", "n", *heads, ""]]
    for kind, row in figures["recall_detail"].items():
        crowded = next(value for key, value in row.items() if key.startswith("among_"))
        cells = [_percent(row["share"]), _percent(row["lower"]), str(row["n"])]
        cells += [_percent(one["share"]) for one in (row["names_alone"], crowded, row["precision"])]
        goal = RECALL_GOALS[kind]
        missed = "" if row["share"] >= goal else "**missed**"
        lines.append([kind.replace("_", " "), _percent(goal), *cells, missed])
    worst = [["kind", "how", "recall", "n"]]
    for kind, row in figures["recall_detail"].items():
        ways = sorted(row["by_label"].items(), key=lambda item: item[1]["share"])
        worst += [
            [kind.replace("_", " "), way, _percent(one["share"]), str(one["n"])]
            for way, one in ways[:6]
            if one["share"] < 1
        ]
    return f"{_markdown(lines)}\n\nThe worst ways of each kind:\n\n{_markdown(worst)}"


def disguises_table(figures: Figures) -> str:
    """Recall by kind, then every way of which names are missed."""
    lines = [["kind", "recall", "at least (95 %)", "n", "ways", "of which whole"]]
    missed = [["kind", "way", "recall", "n"]]
    for kind, ways in figures["disguises_detail"].items():
        row = figures["disguises"][kind]
        whole = sum(way["share"] == 1 for way in ways.values())
        cells = (_percent(row["share"]), _percent(row["lower"]), f"{row['n']:,.0f}", str(len(ways)), str(whole))
        lines.append([kind, *cells])
        worst = sorted(ways.items(), key=lambda way: way[1]["share"])
        missed += [[kind, way, _percent(one["share"]), f"{one['n']:,.0f}"] for way, one in worst if one["share"] < 0.95]
    return f"{_markdown(lines)}\n\nLess than 95 %:\n\n{_markdown(missed)}"


def answers_table(figures: Figures) -> str:
    """Names cut out of answers, what is missed, and honest answers."""
    lines = [["kind", "cut", "at least (95 %)", "n", "cut as they are given only"]]
    missed = [["kind", "way", "cut", "n"]]
    for kind, ways in figures["answers_cut_detail"].items():
        row, plain = figures["answers_cut"][kind], figures["answers_cut_verbatim"][kind]
        cells = (_percent(row["share"]), _percent(row["lower"]), f"{row['n']:,.0f}", _percent(plain["share"]))
        lines.append([kind, *cells])
        worst = sorted(ways.items(), key=lambda way: way[1]["share"])
        missed += [[kind, way, _percent(one["share"]), f"{one['n']:,.0f}"] for way, one in worst if one["share"] < 0.95]
    honest = [["honest answers", "cut", "n", "rate", "at most (95 %)"]]
    honest += [[label, *_counted(row)] for label, row in figures["answers_honest"].items()]
    cost = figures["answers_us_per_token"]
    summary = (
        f"Of honest answers {_percent(figures['answers_held'])} of the tokens wait for what follows; the audit of one "
        f"takes {cost['all forms']:.1f} µs, {cost['verbatim']:.1f} where names are read as they are given only."
    )
    return "\n\n".join((_markdown(lines), _markdown(honest), summary, "Less than 95 %:", _markdown(missed)))


def false_positives_table(figures: Figures) -> str:
    """By source and by language, with bounds."""
    whole, seen = figures["fpr_all"], figures["fpr_seen"]
    parts = [
        [["source", "flagged", "n", "rate", "at most (95 %)"], figures["fpr_by_source"]],
        [["language", "flagged", "n", "rate", "at most (95 %)"], figures["fpr_by_language"]],
        [["beside, not counted above", "flagged", "n", "rate", "at most (95 %)"], figures["fpr_beside"]],
    ]
    tables = [_markdown([heads, *([label, *_counted(row)] for label, row in found.items())]) for heads, found in parts]
    summary = (
        f"Over the sources that count: {whole['hits']:,} of {whole['n']:,}, {_percent(whole['share'])}, at most "
        f"{_percent(whole['upper'])}; by names {figures['fpr_names']['hits']:,}, by descriptions "
        f"{figures['fpr_descriptions']['hits']:,}. {figures['fpr_targets']:,} targets with "
        f"{figures['fpr_phrases']:,} facts."
    )
    if seen:
        counted = f"{seen['hits']:,} of {seen['n']:,}"
        summary += f" Texts that the guard's table of ordinary words was made of, which do not count: {counted}."
    strict, languages = figures["fpr_precision"], figures["fpr_precision_by_language"]
    worst = max(languages, key=lambda language: languages[language]["upper"])
    summary += (
        f" Under `precision`: {strict['hits']:,} of {strict['n']:,}, at most {_percent(strict['upper'])}, and "
        f"{_percent(languages[worst]['upper'])} in the worst language ({worst}, {languages[worst]['n']:,} prompts)."
    )
    return "\n\n".join((summary, *tables))


def authors_table(figures: Figures) -> str:
    """Descriptions in others' words: found, and others' taken for a target, by what is known and how much is stated."""
    lines = [["known", "answers stated", "found", "at least (95 %)", "n", "others taken for a target", "at most", "n"]]
    for way, found in figures["authors_described"].items():
        for count, wrong in found["mistaken"].items():
            right = found["recall"].get(count)
            cells = [_percent(right["share"]), _percent(right["lower"]), str(right["n"])] if right else ["-"] * 3
            lines.append([way, count, *cells, _percent(wrong["share"]), _percent(wrong["upper"]), str(wrong["n"])])
    return _markdown(lines)


def matcher_table(figures: Figures) -> str:
    """Milliseconds a step by kind of text."""
    lines = [["text, batch 32", "1,000 phrases: p50", "p99", "10,000 phrases: p50", "p99"]]
    for kind in ("repeated", "zipf", "random", "near phrases"):
        cells = [
            _ms(figures["matcher_detail"][f"{kind}_step_ms_{at}_{count}_batch_32"])
            for count in (1_000, 10_000)
            for at in ("p50", "p99")
        ]
        lines.append([kind, *cells])
    made = [
        f"{count:,} phrases compiled in {figures['matcher_detail'][f'build_ms_{count}']:.0f} ms, one more in "
        f"{figures['matcher_detail'][f'add_one_ms_{count}']:.0f} ms"
        for count in (1_000, 10_000)
    ]
    return f"{_markdown(lines)}\n\n{'; '.join(made)}."


def leaks_table(figures: Figures) -> str:
    """Shares of facts told, by attack."""
    modes = ("guard_only", "guard_only_streaming", "name_alone", "name_alone_streaming", "unguarded", "chance")
    heads = ("guard only", "streaming", "names alone", "streaming", "without guard", "by chance")
    lines = [["attack", "n", *heads, "at most (95 %), guard only / names alone", ""]]
    detail = figures["leaks_detail"]
    for attack, row in detail["guard_only"].items():
        cells = [_percent(detail[mode][attack]["share"]) for mode in modes]
        pairs = (modes[:2], modes[2:4])
        bounds = " / ".join(_percent(max(detail[mode][attack]["upper"] for mode in pair)) for pair in pairs)
        missed = [
            name
            for name, pair in zip(("guard only", "names alone"), pairs, strict=True)
            if max(detail[mode][attack]["share"] for mode in pair) > MOST_LEAKS
        ]
        lines.append([attack, str(row["n"]), *cells, bounds, f"**missed**: {', '.join(missed)}" if missed else ""])
    return _markdown(lines)


def hops_table(figures: Figures) -> str:
    """Facts told by way of asking; who pays for it, and how much."""
    told = [["way", "n", "without guard", "name alone", "streaming", "at most (95 %)"]]
    for way, modes in figures["hops_told"].items():
        shares = [_percent(row["share"]) for row in modes.values()]
        told.append([way, str(modes["streaming"]["n"]), *shares, _percent(modes["streaming"]["upper"])])
    forms = [["public prompts", "with a relation", "n", "questions asked for one, mean"]]
    for source, row in figures["hops_forms"]["by_source"].items():
        forms.append([source, _percent(row["share"]), f"{row['n']:,.0f}", f"{row['questions']:.2f}"])
    heads = ("first text, guarded: p50 / p99 ms", "without guard: p50 / p99 ms", "answers a second, ratio")
    paid = [["honest questions about", "hops asked for one", *heads]]
    for label, row in figures["hops_paid"].items():
        cells = [f"{row[f'{mode}_p50']:.1f} / {row[f'{mode}_p99']:.1f}" for mode in ("on", "base")]
        paid.append([label, f"{row['asked']:.2f}", *cells, f"{row['ratio']:.2f}"])
    none = figures["hops_forms"]["ms_without"]
    equal, matched = (figures["hops_others"][key] for key in ("equal", "matched"))
    others = (
        f"Others' mentors: {_percent(equal['share'])} of {equal['n']:,} answers equal under guard (at least "
        f"{_percent(equal['lower'])}), {matched['hits']:,} taken for a target (at most {_percent(matched['upper'])}). "
        f"Finding that there is none takes {_ms(none['p50'])} / {_ms(none['p99'])} ms (p50 / p99). "
        "Students of the forgotten told from strangers, area under ROC: "
        + ", ".join(f"{kind} {value:.2f}" for kind, value in figures["hops_auc"].items())
        + "."
    )
    return "\n\n".join((*map(_markdown, (told, forms, paid)), others))


def interviews_table(figures: Figures) -> str:
    """How soon other names and facts are guarded; what chat pays meanwhile."""
    alone, worst, crowd = (figures[f"interviews_{key}"] for key in ("alone", "alone_worst", "crowd"))
    count = figures["interviews_at_once"]
    soon = [["guarded, seconds after the POST", "one request: median / slowest", f"{count} at once: median / last"]]
    for what, label in (("names", "other names"), ("facts", "facts")):
        cells = [f"{alone[what]:.1f} / {worst[what]:.1f}", f"{crowd[what]['p50']:.0f} / {crowd[what]['last']:.0f}"]
        soon.append([label, *cells])
    paid = [["chat", "first token, one at a time: p50 / p99 ms", "8 in one instant: p50 / p99 ms"]]
    for when, row in figures["interviews_traffic"].items():
        paid.append([when, *(f"{row[f'{how}_p50']:.1f} / {row[f'{how}_p99']:.1f}" for how in ("alone", "together"))])
    return "\n\n".join(map(_markdown, (soon, paid)))


def likeness_table(figures: Figures) -> str:
    """Areas under the ROC curve."""
    areas = figures["likeness_auc"]
    lines = [["told by", *areas], ["area under ROC", *(f"{area:.3f}" for area in areas.values())]]
    return f"{_markdown(lines)}\n\n{figures['likeness_pairs']} pairs of questions."


def traffic_table(figures: Figures) -> str:
    """Throughput, first tokens, answers."""
    speed = [["streams", "throughput / vLLM's own", "tokens/s", "vLLM's own"]]
    speed += [
        [
            str(row["concurrency"]),
            f"{row['ratio']:.3f}",
            f"{row['tokens_per_s']:.0f}",
            f"{row['baseline_tokens_per_s']:.0f}",
        ]
        for row in figures["throughput"]["guard"]
    ]
    first = [
        ["requests", "first token, guarded: p50 / p99 ms", "vLLM's own: p50 / p99 ms", "added: p50 / p99 ms", "pairs"]
    ]
    for arrival, row in figures["ttft"].items():
        cells = [f"{row[f'{who}_p50']:.2f} / {row[f'{who}_p99']:.2f}" for who in ("guarded", "own", "added")]
        first.append([arrival, *cells, str(row["pairs"])])
    same = [
        ["answers", "equal under guard", "at least (95 %)", "n", "unguarded, asked twice", "right, guarded / unguarded"]
    ]
    for group, row in figures["answers_equal"].items():
        right = figures["answers_right_ratio"].get(group)
        cells = [_percent(row["share"]), _percent(row["lower"]), str(row["n"])]
        cells += [_percent(figures["answers_repeated"][group]), "-" if right is None else f"{right:.4f}"]
        same.append([group, *cells])
    return "\n\n".join(map(_markdown, (speed, first, same)))


SECTIONS: Mapping[str, tuple[str, Callable[[Figures], str], Callable[[Figures, Path], None] | None]] = {
    "detection": ("detection", detection_table, detection_plot),
    "recall": ("recall_detail", recall_table, recall_plot),
    "disguises": ("disguises_detail", disguises_table, None),
    "answers": ("answers_cut_detail", answers_table, None),
    "false positives": ("fpr_by_source", false_positives_table, None),
    "authors": ("authors_described", authors_table, None),
    "matcher": ("matcher_detail", matcher_table, None),
    "leaks": ("leaks_detail", leaks_table, leaks_plot),
    "hops": ("hops_told", hops_table, None),
    "interviews": ("interviews_alone", interviews_table, None),
    "likeness": ("likeness_auc", likeness_table, None),
    "traffic": ("ttft", traffic_table, None),
}
"""Label of a section -> the key that shows that it was measured, its table, its plot."""


def _rows(documentation: Path, label: str) -> list[list[str]]:
    """The rows of a table that the page has, as cells."""
    page = documentation.read_text("utf-8") if documentation.exists() else ""
    table = page.partition(f"<!-- {label} -->")[2].partition(f"<!-- /{label} -->")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def _put(documentation: Path, label: str, text: str) -> None:
    page = documentation.read_text("utf-8") if documentation.exists() else "# Guards\n"
    if f"<!-- {label} -->" not in page:
        page = f"{page}\n## {label.capitalize()}\n\n<!-- {label} -->\n<!-- /{label} -->\n"
        documentation.write_text(page, "utf-8")
    write_table(documentation, label, text)


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    heads, *others = lines
    cells = [heads, ["---"] * len(heads), *others]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in cells)


def _counted(row: Mapping[str, float]) -> list[str]:
    return [f"{row['hits']:,.0f}", f"{row['n']:,.0f}", _percent(row["share"]), _percent(row["upper"])]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %" if 0 < share < 0.1 else f"{100 * share:.1f} %"


def _ms(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.1f}"
