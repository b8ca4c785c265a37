"""Write the two reference chapters from the code, so that they cannot lie: docs/cli.md and docs/recipe.md.

Run `make docs` after a change of a verb, an option or a recipe key; a test fails while the chapters are stale.
"""

from pathlib import Path
from typing import Any

import typer

from lhama.cli import app

HERE = Path(__file__).parent


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def cli_reference() -> str:
    """Return docs/cli.md: each verb with its sentence, its arguments and its options."""
    command = typer.main.get_command(app)
    lines = [
        "# The command line",
        "",
        "Generated from the code by `make docs`. A hyper-parameter is never an option: it is a key of the recipe",
        "([recipe.md](recipe.md)), tried out with `--set section.key=value`.",
    ]
    for name, verb in command.commands.items():  # type: ignore[attr-defined]
        arguments = [one for one in verb.params if not one.opts[0].startswith("--")]
        options = [one for one in verb.params if one.opts[0].startswith("--")]
        words = " ".join(_metavar(one) for one in arguments)
        lines += [
            "",
            f"## lhama {name}",
            "",
            (verb.help or "").strip(),
            "",
            f"    lhama {name} {words} [OPTIONS]".rstrip(),
            "",
        ]
        lines += ["| | |", "|---|---|"]
        for one in arguments:
            lines.append(f"| `{_metavar(one)}` | {one.help or ''} |")
        for one in options:
            lines.append(f"| `{', '.join(one.opts)}` | {one.help or ''} |")
    return "\n".join(lines) + "\n"


def references() -> dict[Path, str]:
    """Return each generated chapter with the text it must have."""
    from lhama.plan.recipe import recipe_reference

    return {HERE / "cli.md": cli_reference(), HERE / "recipe.md": recipe_reference()}


if __name__ == "__main__":
    for path, text in references().items():
        path.write_text(text, encoding="utf-8")
