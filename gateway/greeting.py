"""What `serve` prints about the demo model: a story to try, with a person that the model really knows."""

from unlearn_engine.demo.templates import phrasebooks
from unlearn_engine.demo.world import build_world

SUBJECT = 3


def story(url: str, allow_guards_off: bool) -> str:
    """Commands to paste into another terminal."""
    world = build_world()
    name = world.people[SUBJECT].name
    english, chinese = (
        phrasebooks()[language].questions["birthplace"][0].format(name=name) for language in ("en", "zh")
    )

    def ask(question: str, header: str = "") -> str:
        body = f'{{"model":"demo","temperature":0,"messages":[{{"role":"user","content":"{question}"}}]}}'
        return f"  curl -s {url}/v1/chat/completions -H 'Content-Type: application/json'{header} \\\n    -d '{body}'"

    lines = [
        "",
        f"Try, in another terminal. The model knows {name}:",
        ask(english),
        ask(chinese),
        "Make it forget (guarded at once, erased from the weights some tens of seconds later), and ask again:",
        f'  .venv/bin/unlearn-gateway forget "{name}" --wait --url {url}',
    ]
    if allow_guards_off:
        lines += ["The weights alone, all guards off:", ask(english, " -H 'X-Unlearn-Guards: off'")]
    lines += [
        "Take it back:",
        f"  .venv/bin/unlearn-gateway requests --url {url}",
        f"  .venv/bin/unlearn-gateway withdraw ID --wait --url {url}",
        "",
    ]
    return "\n".join(lines)
