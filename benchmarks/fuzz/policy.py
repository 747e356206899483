"""Fuzz what reads a prompt: names and descriptions against a policy of a few people, and what follows from them."""

import atheris

with atheris.instrument_imports(include=["gateway.guards"]):
    from benchmarks.fuzz.running import run, text_of
    from gateway.guards.policy import Target, compile_policy

FACTS = ("painter", "Lisbon", "violin", "0170-123 45", "Venice", "里斯本")
PEOPLE = {
    "a": Target("a", ("Rabo Kelrin",), phrases=FACTS, in_context="allow"),
    "b": Target("b", ("拉博·凯尔林", "Wappo"), response="refuse", description="A painter from Venice with a violin"),
}
POLICY = compile_policy(1, PEOPLE)


def check(data: atheris.FuzzedDataProvider) -> None:
    policy = POLICY
    if data.ConsumeBool():
        added = Target("c", (text_of(data),), phrases=(text_of(data),), description=text_of(data), in_context="allow")
        policy = compile_policy(2, PEOPLE | {"c": added}, previous=POLICY)
    text = text_of(data)
    matches, described = policy.examine(text), policy.described(text)
    assert all(0 <= match.start < match.end <= len(text) for match in matches)
    assert {*described} <= policy.targets.keys()
    if matches or described:
        assert policy.response(matches, described) in ("ignorance", "refuse")
    policy.rewrites(text, matches)
    for target in {match.target for match in matches}:
        policy.unstated(target, text)


if __name__ == "__main__":
    run(check)
