"""Old spellings of the command line: they go on working, and one line on stderr names the new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from inspector.errors import UsageError
from inspector.process.loading import loading

if TYPE_CHECKING:
    # Typer carries a click of its own and does not re-export this.
    from typer._click.core import Context

Renamed = dict[str, tuple[str, ...]]

AS_JSON: Renamed = {"--json": ("--format", "json")}
OPTIONS: dict[str, Renamed] = {
    "calibrate": AS_JSON,
    "cutout": AS_JSON,
    "fit": AS_JSON,
    "generate": {"--codes": ("--latents",)},
}
MODEL_FIRST = ("calibrate", "drift", "generate", "interpolate")  # took MODEL before their other arguments
NOTES = "inspector.commands.spelling"


class InspectorCommand(TyperCommand):
    """A command that understands its old spellings."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read the command line, and replace old spellings by the new ones."""
        ctx.meta[NOTES] = []
        ctx.allow_extra_args = self.name in MODEL_FIRST
        with loading():  # Typer imports pydantic here
            extra = super().parse_args(ctx, self._rename_options(ctx, args))
        if extra:
            self._take_model(ctx, extra)
        return []

    def invoke(self, ctx: Context) -> Any:
        """Run the command; name the new spellings unless it ended with an error."""
        try:
            result = super().invoke(ctx)
        except typer.Exit:
            _say(ctx)
            raise
        _say(ctx)
        return result

    def _rename_options(self, ctx: Context, args: list[str]) -> list[str]:
        """Replace old options wherever they stand before `--`."""
        renamed = OPTIONS.get(self.name or "", {})
        end = args.index("--") if "--" in args else len(args)
        words: list[str] = []
        for word in args[:end]:
            name, equals, value = word.partition("=")
            if name in renamed:
                *first, last = renamed[name]
                words += [*first, f"{last}{equals}{value}"]
                ctx.meta[NOTES].append(f"{name} is now {' '.join(renamed[name])}")
            else:
                words.append(word)
        return words + args[end:]

    def _take_model(self, ctx: Context, extra: list[str]) -> None:
        """Take the first argument for the model, and shift the others."""
        arguments = [parameter for parameter in self.params if parameter.param_type_name == "argument"]
        words = [*(str(ctx.params[argument.name or ""]) for argument in arguments), *extra]
        model = words[0]
        if len(extra) > 1:
            ctx.fail(f"Got unexpected extra argument(s) ({' '.join(extra[1:])})")
        if ctx.params["model"] is not None:
            raise UsageError(
                f"the model is given twice: {model!r} and --model {ctx.params['model']!r}",
                hint="give it once, with --model",
            )
        ctx.params["model"] = model
        for argument, word in zip(arguments, words[1:], strict=True):
            ctx.params[argument.name or ""] = argument.process_value(ctx, word)
        ctx.args = []
        ctx.meta[NOTES].append(f"the model {model} is now given as --model {model}")


def _say(ctx: Context) -> None:
    from inspector.imaging.files import printable

    if ctx.meta[NOTES]:
        typer.echo(f"note: {printable('; '.join(ctx.meta[NOTES]))}", err=True)
