"""Writes docs/reference/cli.md from the definitions of the command line: part of `make docs`."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

PAGE = Path(__file__).parent / "reference" / "cli.md"

INTRODUCTION = """\
# Command line

Generated from the code by `make docs`. `inspector` and `python -m inspector` are the same.
Errors are one line on stderr, `error: …`, followed by `hint: …`; `--debug` shows a traceback as well.
Standard output carries data only. For exit codes and JSON see [JSON, exit codes, Python](json.md).
"""


def commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield a group, then all groups and commands below it, with full names in the order of the help."""
    yield name, group
    for short in getattr(group, "list_commands", lambda _: ())(None):
        command = group.get_command(None, short)
        if not command.hidden:
            yield from commands(command, f"{name} {short}")


def argument_name(parameter: Any) -> str:
    """Return the name of an argument as the usage line shows it, or an empty text for an option."""
    if parameter.param_type_name != "argument":
        return ""
    name = str(parameter.metavar or parameter.name.upper())
    return name + "..." if parameter.nargs == -1 and not name.endswith("...") else name


def row(parameter: Any, context: typer.Context) -> str:
    """Return a table row for one argument or option, made from its help text."""
    names, text = (" ".join(part.split()) for part in parameter.get_help_record(context))
    names = argument_name(parameter) or names.replace(" range>", ">")
    text = text.replace("] [", "; ")  # a default in the text, and a range that is added to it
    extra = re.search(r" *\[((?:default: |required|\d|x|-?\d).*)\]$", text)
    notes = extra.group(1).split("; ") if extra else []
    notes = [re.sub(r"^(\S+)<=x<=(\S+)$", r"\1 to \2", note) for note in notes]
    notes = [re.sub(r"^x>=(\S+)$", r"\1 or more", note) for note in notes]
    shown = [f"`{note.removeprefix('default: ')}`" if "default: " in note else note for note in notes]
    cells = [f"`{names}`", text[: extra.start()] if extra else text, ", ".join(shown)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def plain(text: str) -> str:
    """Return a help text without the marks that only the terminal understands."""
    return re.sub(r"\n*\f.*", "", inspect.cleandoc(text), flags=re.DOTALL).replace("\b\n", "")


def example(command: Any) -> list[str]:
    """Return the examples at the end of a help text as a terminal block."""
    lines = plain(command.epilog or "").removeprefix("Example:").strip().splitlines()
    return ["```sh", *map(str.strip, lines), "```", ""] if lines else []


def section(name: str, command: Any) -> str:
    """Return the section of one command: description, usage, table of parameters, examples."""
    context = typer.Context(command, info_name=name)
    lines = [f"{'#' * (1 + len(name.split()))} {name}", "", plain(command.help or ""), ""]
    if not hasattr(command, "list_commands"):
        arguments = [word for word in map(argument_name, command.params) if word]
        lines += [
            "```",
            " ".join([name, *arguments, *["[OPTIONS]"][: len(command.params) - len(arguments)]]),
            "```",
            "",
        ]
    rows = [row(p, context) for p in command.params if p.get_help_record(context)]
    if rows:
        lines += ["| name | meaning | default or range |", "|---|---|---|", *rows, ""]
    return "\n".join([*lines, *example(command)])


def reference() -> str:
    """Return the whole page."""
    # The page must not depend on this computer's folders.
    os.environ.pop("INSPECTOR_STORE", None)
    from typer.main import get_command

    from inspector.commands.main import app

    sections = [section(name, command) for name, command in commands(get_command(app), "inspector")]
    return "\n".join([INTRODUCTION, *sections]).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
