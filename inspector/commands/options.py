"""Arguments that several commands take, said once."""

from __future__ import annotations

from typing import Annotated

import typer

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="NAME, NAME@VERSION or the path of a bundle.")
]
ModelOption = Annotated[
    str | None,
    typer.Option(metavar="NAME[@VERSION]|PATH", help="Which model; the store's current one without it."),
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=0, max=1024, help="Threads to compute with; 0 is one for each core.")
]
