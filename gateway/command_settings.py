"""Settings for a command: what is wrong with them is told in a line each."""

from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError
from rich.console import Console

err = Console(stderr=True)


def read_settings(config: Path | None, **given: Any) -> Any:
    """The settings in force; where one does not fit, a line that names it, and exit status 2."""
    from gateway.settings import load_settings

    try:
        return load_settings(config, **given)
    except ValidationError as error:
        for problem in error.errors():
            err.print(f"[red]setting {'.'.join(map(str, problem['loc']))}:[/] {problem['msg']}", highlight=False)
    except FileNotFoundError as error:
        err.print(f"[red]error:[/] {error}", highlight=False)
    raise typer.Exit(2)
