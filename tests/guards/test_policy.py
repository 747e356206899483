"""The policy snapshot: responses, twins, tables, and compiling on top of the one before."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.guards.audit import OutputAudit
from gateway.guards.normalise import fold
from gateway.guards.policy import AdapterRef, Policy, Target, compile_policy

RABO = Target("r", ("Rabo Kelrin", "Rabi"), phrases=("Lisbon",))
WANG = Target("w", ("王小明",), response="refuse", phrases=("教师",))


def policy(*targets: Target, previous: Policy | None = None) -> Policy:
    return compile_policy(1, {target.id: target for target in targets}, previous=previous)


def test_examines_all_targets() -> None:
    both = policy(RABO, WANG)
    text = "R. Kelrin和王小明"
    assert [(m.target, text[m.start : m.end]) for m in both.examine(text)] == [("r", "R. Kelrin"), ("w", "王小明")]
    assert both.response(both.examine("Rabo Kelrin")) == "ignorance"
    assert both.response(both.examine(text)) == "refuse"
    assert both.response([]) is None


def test_a_description_counts_without_a_name() -> None:
    baker = Target("b", ("Anna Berg",), response="refuse", phrases=("panadera", "Venecia"), description="plays cello")
    both = policy(RABO, baker)
    assert both.described("¿Quién es la panadera de Venecia?") == ("b",)
    assert both.described("Who bakes in Lisbon?") == ()
    assert both.response((), ("r",)) == "ignorance"
    assert both.response(both.examine("Rabo Kelrin"), ("b",)) == "refuse"
    forgotten = policy(RABO, previous=both)
    assert forgotten.described("¿Quién es la panadera de Venecia?") == ()


def test_what_the_prompt_states_may_be_repeated_where_that_is_allowed() -> None:
    phrases = ("Lisbon", "Theo Ng", "Schäfer", "4821", "教师")
    target = Target("t", ("Otto Kral",), phrases=phrases, in_context="allow")
    one = policy(target)

    def forbidden(prompt: str, text: str) -> bool:
        return (
            OutputAudit([one.unstated("t", prompt) or one.phrase_set(one.target_table("t"))]).feed(text, True).blocked
        )

    for phrase, prompt in {
        "Lisbon": "He is from LISBON.",
        "Theo Ng": "(Theo Ng's)",
        "Schäfer": "of Schaefer",
        "4821": "no. 4821",
        "教师": "他是教师。",
    }.items():
        assert not forbidden(prompt, f"It is {phrase}.")
        assert all(forbidden(prompt, f"It is {other}.") for other in (*phrases, "Otto Kral") if other != phrase)
    assert one.unstated("t", "The ongoing 48215 things") is None
    assert policy(RABO).unstated("r", "Rabo lives in Lisbon") is None


@given(
    st.lists(st.sampled_from(("Lisbon", "Theo Ng", "Ng", "the ngo", "48 21", "教师", "x")), max_size=6).map(" ".join)
)
def test_a_prompt_may_be_repeated_whole(prompt: str) -> None:
    phrases = ("Lisbon", "Theo Ng", "4821", "教师")
    one = policy(Target("t", ("Otto Kral",), phrases=phrases, in_context="allow"))
    audit = OutputAudit([one.unstated("t", prompt) or one.phrase_set(one.target_table("t"))])
    assert not audit.feed(prompt, True).blocked


def test_a_twin_is_stable_and_nobody() -> None:
    first, again = policy(RABO, WANG), policy(WANG, RABO)
    twin = first.twin("r")
    assert twin == again.twin("r")
    assert twin.split()[0] != "Rabo"  # few have that first name: it may tell who is meant
    assert policy(Target("t", ("Maria Kelrin",))).twin("t").split()[0] == "Maria"
    assert first.examine(f"{twin} {first.twin('w')}") == []
    assert policy(Target("t", ("Rabo Kelrin",), twins=("Rabo Given",))).twin("t") == "Rabo Given"


def test_rewrites_give_back_the_name_as_written() -> None:
    both = policy(RABO, WANG)
    twin = both.twin("r")
    parts = {twin.split()[0]: "Rabo", twin.split()[-1]: "Kelrin"}

    def rewrites(text: str) -> dict[str, str]:
        return both.rewrites(text, both.examine(text))

    assert rewrites("KELRIN,\nRabo, or Rabo Kelrin?") == {twin: "KELRIN, Rabo", **parts}
    assert rewrites("UmFibyBLZWxyaW4=") == {twin: "Rabo Kelrin", **parts}
    assert rewrites('"Rabo\\"Kelrin"') == {twin: "Rabo Kelrin", **parts}
    assert rewrites("王小明") == {both.twin("w"): "王小明"}
    assert rewrites("nobody") == {}


def test_tables_are_named_by_their_content() -> None:
    both, one = policy(RABO, WANG), policy(RABO)
    (names,), (fewer,) = both.names_tables, one.names_tables
    assert both.tables()[names] == ("Rabi", "Rabo Kelrin", "王小明")
    assert both.tables()[both.target_table("r")] == ("Lisbon", "Rabi", "Rabo Kelrin")
    assert both.target_table("r") == one.target_table("r") != both.target_table("w")
    assert names != fewer
    assert set(both.tables()) == {names, both.target_table("r"), both.target_table("w")}
    assert list(policy().tables().values()) == [()]
    shown = " ".join(both.tables())
    assert not any(fold(name).text in fold(shown).text for name in (*RABO.names, *WANG.names))


def test_compiling_on_top_equals_compiling_afresh() -> None:
    before = policy(RABO, WANG)
    before.phrase_set(before.target_table("r"))
    learned = Target("r", RABO.names, phrases=("Lisbon", "4821"))
    for targets in ((RABO,), (RABO, WANG), (learned, WANG), (learned,), ()):
        after, fresh = policy(*targets, previous=before), policy(*targets)
        assert after.tables() == fresh.tables()
        text = "Rabo Kelrin, Rabi, 王小明"
        assert after.examine(text) == fresh.examine(text)
        for table in after.tables():
            assert after.phrase_set(table).patterns == fresh.phrase_set(table).patterns
        before = after


def test_a_caller_carries_the_names_that_are_withheld_from_it_and_no_others() -> None:
    otto = Target("o", ("Otto Kral",), audiences=frozenset({"public"}))
    ada = Target("a", ("Ada Quist",), audiences=frozenset({"public", "partners"}))

    def carried(compiled: Policy, *caller: str) -> set[str]:
        return {name for table in compiled.names_withheld(frozenset(caller)) for name in compiled.tables()[table]}

    everyone = {*RABO.names}
    before = policy(RABO)
    for targets in ((RABO,), (RABO, otto), (RABO, otto, ada), (ada, RABO), (otto,), ()):
        compiled = policy(*targets, previous=before)
        assert compiled.tables() == policy(*targets).tables()
        assert carried(compiled, "staff") == {name for target in targets for name in target.names} & everyone
        assert carried(compiled) == carried(compiled, "public") == {n for target in targets for n in target.names}
        assert ("Ada Quist" in carried(compiled, "partners")) == (ada in targets)
        assert "Otto Kral" not in carried(compiled, "partners")
        assert compiled.names_tables == compiled.names_withheld(frozenset())
        before = compiled


def test_a_target_may_move_to_other_audiences() -> None:
    public = replace(RABO, audiences=frozenset({"public"}))
    moved = policy(public, previous=policy(RABO))
    assert moved.withholds("r", frozenset({"public"})) and not moved.withholds("r", frozenset({"staff"}))
    assert moved.tables() == policy(public).tables()


def test_the_strictest_action_wins() -> None:
    order = ("refuse", "rewrite", "ignorance", "clause", "instruct")
    for at, response in enumerate(order):
        targets = [Target(action, (f"Otto {action}",), response=action) for action in order[at:]]
        compiled = policy(*targets)
        assert compiled.response(compiled.examine(", ".join(target.names[0] for target in targets))) == response
        assert compiled.response([], [target.id for target in targets]) == response
    assert compiled.response([]) is None


def test_nothing_secret_is_shown() -> None:
    shown = repr(policy(RABO, WANG)) + repr(RABO) + repr(compile_policy(1, {}, AdapterRef("d", "p", 8)))
    assert not any(secret in shown for secret in ("Rabo", "Kelrin", "王", "Lisbon"))


def test_a_letter_that_is_a_part_of_ordinary_words_is_not_forbidden() -> None:
    one = policy(Target("t", ("Otto Kral",), phrases=("蛇", "是", "q", "Lisbon")))
    assert one.tables()[one.target_table("t")] == ("Lisbon", "Otto Kral", "蛇")


def test_changes_and_compaction_leave_what_compiling_afresh_makes() -> None:
    crowd = {f"n{number}": Target(f"n{number}", (f"Zebedee Quux{number:04}",)) for number in range(400)}
    one = compile_policy(1, {"r": RABO})
    for start in range(0, 400, 100):
        one = one.with_changes(2 + start, [*crowd.values()][start : start + 100])
    one = one.with_changes(900, [WANG], ["n5", "unknown"])
    assert one.crowded
    fresh = policy(RABO, WANG, *(target for id_, target in crowd.items() if id_ != "n5"))
    whole = one.compacted()
    assert not whole.crowded and whole.version == one.version == 900
    for after in (one, whole):
        assert after.targets == fresh.targets
        assert {name for id_ in after.names_tables for name in after.tables()[id_]} == {
            *fresh.tables()[fresh.names_tables[0]]
        }
        assert len(after.tables()) == len(after.targets) + len(after.names_tables)
        for text in ("Zebedee Quux0399", "Zebedee Quux0005", "Rabi und 王小明"):
            assert after.examine(text) == fresh.examine(text)
    assert len(whole.names_tables) < len(one.names_tables)


def test_somebody_may_be_told_of_unless_the_adapter_erases_all_who_are_withheld() -> None:
    nobody, staff, guest = frozenset[str](), frozenset({"staff"}), frozenset({"guest"})
    assert not policy().may_be_told(nobody)
    assert policy(RABO).may_be_told(nobody)
    erased = AdapterRef("d", "p", 8, frozenset({RABO.id}))
    assert not compile_policy(1, {RABO.id: RABO}, erased).may_be_told(nobody)
    both = compile_policy(1, {RABO.id: RABO, "kept": Target("kept", ("Otto Semm",), audiences=staff)}, erased)
    assert [both.may_be_told(caller) for caller in (nobody, staff, guest)] == [True, True, False]
    assert both.with_changes(2, removed=["kept"]).may_be_told(guest), "that adapter is not served any more"
