"""Options that several commands share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done")]
Sample = Annotated[int, typer.Option(min=1, help="Most customers to score, drawn uniformly")]
Publish = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before publishing")]
