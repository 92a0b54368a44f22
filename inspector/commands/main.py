"""The program `inspector`: finds the command, runs it, and turns every error into one line."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from inspector.commands import exits
from inspector.commands.spelling import InspectorCommand
from inspector.errors import InspectorError, StorageError, UsageError
from inspector.process import streams
from inspector.process.loading import loading

if TYPE_CHECKING:
    # Typer carries a click of its own and does not re-export these two.
    from typer._click.core import Command, Context

# In the order in which a new user needs them.  `inspector.commands.NAME` holds a function or a Typer app
# of that name, and `EXAMPLE`, the command lines at the end of its help.
COMMANDS = (
    "cutout",
    "fit",
    "score",
    "evaluate",
    "sweep",
    "calibrate",
    "drift",
    "serve",
    "watch",
    "models",
    "generate",
    "interpolate",
    "demo",
)

DEBUG = "--debug"
ANSWERED_AT_ONCE = {"-h", "--help", "--version"}  # without loading the settings
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
EXAMPLE = """
inspector fit good-parts/
inspector score new-part.png
"""


class StopError(Exception):
    """Ctrl-C was pressed, or the program that reads stdout went away."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class Commands(TyperGroup):
    """The commands; each is imported when it is called, so that `score` does not wait for the others."""

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 - Typer calls it so
        """Return the names of the commands, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002 - Typer calls it so
        """Import `inspector.commands.NAME` and return its command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"inspector.commands.{cmd_name}")
        found = getattr(module, cmd_name)
        if not isinstance(found, typer.Typer):
            function, found = found, plain_typer()
            found.command(cmd_name, cls=InspectorCommand)(function)
        command = typer.main.get_command(found)
        command.name, command.epilog = cmd_name, command_example(module.EXAMPLE)
        command.context_settings = CONTEXT
        return command

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Find the command that `args` begins with; suggest one if there is none of that name."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], COMMANDS, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"the commands are {', '.join(COMMANDS)}"
            raise UsageError(f"there is no command {args[0]!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Context) -> Any:
        """Run a command; Ctrl-C and a closed pipe keep their exit codes, which Typer would make 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as exc:
            raise StopError(exits.INTERRUPTED) from exc
        except BrokenPipeError as exc:
            raise StopError(exits.BROKEN_PIPE) from exc
        except ImportError as exc:
            from inspector.extras import missing_extra

            error = missing_extra(exc, f"inspector {ctx.invoked_subcommand}")
            if error is None:
                raise
            raise error from exc


def command_example(lines: str) -> str:
    """Return the end of a help text: these command lines as an example."""
    # The backspace stops Typer from joining the lines.
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines.strip().splitlines())


def plain_typer(**options: Any) -> typer.Typer:
    """Return a Typer app whose help is plain text: quick to show, and the same in a pipe."""
    return typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, **options)


def show_version(value: bool) -> None:
    """Print the version and end."""
    if value:
        from inspector import __version__

        typer.echo(f"inspector {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings=CONTEXT,
    epilog=command_example(EXAMPLE),
)


@app.callback()
def inspector(
    ctx: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
    _debug: Annotated[
        bool, typer.Option(DEBUG, help="Show tracebacks; may also stand after the command.")
    ] = False,
) -> None:
    """Find defects on pictures of parts; learn from pictures of good parts alone."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def main() -> int:
    """Run the command line of this process, and return its exit code.

    Returns
    -------
    int
        0, or one of the codes in `inspector.commands.exits`.
    """
    arguments, debug = _take_debug(sys.argv[1:])
    streams.repair()
    # Pydantic would read the metadata of every installed package to find plugins.  We need none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    return _exit_code_of(lambda: _run(arguments), debug)


def _run(arguments: list[str]) -> int:
    if arguments[:1] != ["serve"] and not ANSWERED_AT_ONCE.intersection(arguments):  # `serve` logs them
        _warn_of_unknown_variables()
    code = typer.main.get_command(app).main(arguments, prog_name="inspector", standalone_mode=False)
    sys.stdout.flush()
    return code if isinstance(code, int) else exits.PASSED


def _warn_of_unknown_variables() -> None:
    if any(name.startswith("INSPECTOR_") for name in os.environ):
        with loading():
            from inspector.settings import unknown_variables

        for warning in unknown_variables():
            typer.echo(f"warning: {_one_line(warning)}", err=True)


def _exit_code_of(run: Callable[[], int], debug: bool) -> int:
    """Run the command; turn every exception into an exit code and at most two lines on stderr."""
    try:
        return run()
    except (KeyboardInterrupt, typer.Abort):
        return _stopped(exits.INTERRUPTED)
    except BrokenPipeError:
        return _stopped(exits.BROKEN_PIPE)
    except StopError as stop:
        return _stopped(stop.exit_code)
    except Exception as exc:  # noqa: BLE001 - every error becomes one line
        if debug or _environment_asks_for_debug():
            traceback.print_exc()
        if isinstance(exc, OSError):
            _abandon_stdout()
        error = _as_inspector_error(exc)
        _complain(error.message, error.hint)
        return exits.exit_code(error)


def _as_inspector_error(exc: Exception) -> InspectorError:
    """Return the error of our tree for an exception of Typer or of the operating system."""
    if isinstance(exc, InspectorError):
        return exc
    if isinstance(exc, typer.TyperException):
        command = getattr(getattr(exc, "ctx", None), "command_path", "inspector")
        return UsageError(_usage_message(exc), hint=f"'{command} --help' shows what is allowed")
    if isinstance(exc, OSError):
        return _as_storage_error(exc)
    return InspectorError(
        f"unexpected {type(exc).__name__}: {exc}",
        hint="run the same command with --debug, and report what it prints",
    )


def _usage_message(exc: typer.TyperException) -> str:
    """Return Typer's message, and add the value that Typer leaves out for numbers."""
    message = exc.format_message().strip().rstrip(".").replace("Value error, ", "")
    from pydantic import ValidationError

    if isinstance(exc.__cause__, ValidationError):
        value = repr(exc.__cause__.errors()[0]["input"])
        if value not in message:
            message = message.replace("Invalid value", f"Invalid value {value}", 1)
    return message[:1].lower() + message[1:].replace("Input should", "it should")


def _as_storage_error(exc: OSError) -> StorageError:
    from pathlib import Path

    from inspector.bundle.atomic import storage_error

    if isinstance(exc.filename, (str, bytes)):
        return storage_error(Path(os.fsdecode(exc.filename)), exc)
    return StorageError(
        f"reading or writing failed: {exc}", hint="check the disk, and where stdout is redirected to"
    )


def _complain(message: str, hint: str) -> None:
    typer.secho(f"error: {_one_line(message)}", err=True, fg="red")
    if hint:
        typer.echo(f"hint: {_one_line(hint)}", err=True)


def _one_line(text: str) -> str:
    """Escape line ends, control characters and broken bytes, which would break the line."""
    return "".join(
        character if character.isprintable() or character == "\u200d" else repr(character)[1:-1]
        for character in " ".join(text.splitlines())
    )


def _stopped(exit_code: int) -> int:
    """End quietly: print one word after Ctrl-C, and nothing if stdout was closed."""
    if exit_code == exits.BROKEN_PIPE:
        _abandon_stdout()
    else:
        typer.echo("interrupted", err=True)
    return exit_code


def _abandon_stdout() -> None:
    """Redirect stdout to nowhere if it is broken, because the interpreter flushes it once more at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _take_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """Remove `--debug` from the arguments before `--`, and return whether it was there."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [argument for argument in arguments[:end] if argument != DEBUG]
    return kept + arguments[end:], len(kept) < end


def _environment_asks_for_debug() -> bool:
    from inspector.settings import is_debugging

    return is_debugging()
