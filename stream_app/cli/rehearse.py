"""``segmenter model rehearse``: what other segments would change, before anybody is told."""

import json
import math
from typing import TYPE_CHECKING, Annotated

import typer

from stream_app.adapters.clock import wall_ms
from stream_app.cli import model_view as view
from stream_app.cli.desk import UNKNOWN, Desk, at_desk, confirm, refuse
from stream_app.cli.options import Json, Publish, Sample
from stream_app.config import Settings
from stream_app.contracts import ModelSnapshot
from stream_app.core.events import to_datetime
from stream_app.core.features import FeatureSet

if TYPE_CHECKING:
    from stream_app.core.rehearsal import Effect, Population

Segments = Annotated[
    int | None, typer.Option("--k", min=0, max=20, help="Segments; 0 chooses [SEGMENTER_K]")
]
Seed = Annotated[int | None, typer.Option(help="Seed [SEGMENTER_SEED]")]
Weights = Annotated[
    str, typer.Option(metavar="NAME=W,…", help="Weights of features: recency_days=2")
]
Margin = Annotated[
    float | None, typer.Option(min=0, max=0.99, help="Hysteresis [SEGMENTER_MARGIN]")
]
Promote = Annotated[bool, typer.Option("--promote", help="Publish it, after asking")]


def rehearse(  # noqa: PLR0913
    *,
    k: Segments = None,
    seed: Seed = None,
    weights: Weights = "",
    margin: Margin = None,
    sample: Sample = 20_000,
    promote: Promote = False,
    yes: Publish = False,
    as_json: Json = False,
) -> None:
    """Learn other segments from the stored customers and show what they would change.

    Who would move where, how many campaigns would be triggered at once, and how many customers
    live on a border. Writes nothing without --promote. Examples:

        segmenter model rehearse --k 6

        segmenter model rehearse --k 5 --weights average_basket=2 --margin 0.2 --json
    """
    from stream_app.core import rehearsal, versions  # noqa: PLC0415

    async def work(desk: Desk) -> None:
        settings = desk.settings
        hold = settings.margin if margin is None else margin
        draw = settings.seed if seed is None else seed
        chosen = _weights(weights, desk.features)
        people = await _people(desk, sample, draw)
        current, names = await desk.queries.model(), await desk.names()
        created, wanted = to_datetime(wall_ms()), settings.k if k is None else k
        plan = versions.Plan(wanted, draw, chosen, names, created)
        new = versions.candidate(people, desk.features, plan, current)
        effect = rehearsal.effect(people, desk.features, current, new, hold)
        _show(new, effect, people, hold, as_json=as_json)
        if promote:
            _caution(settings, new, hold, weights)
            confirm(f"Publish these segments as version {new.version}?", yes=yes)
            await desk.publish(new)

    at_desk(work)


async def _people(desk: Desk, most: int, seed: int) -> "Population":
    people = await desk.population(most, seed)
    if not len(people.vectors):
        refuse("there is no customer with a purchase to learn from", UNKNOWN)
    return people


def _show(
    new: ModelSnapshot, effect: "Effect", people: "Population", margin: float, *, as_json: bool
) -> None:
    if as_json:
        facts = {"candidate": new.model_dump(mode="json"), "margin": margin}
        facts |= {"population": people.total, "drawn": len(people.vectors)}
        typer.echo(json.dumps(facts | effect.dump()))
        return
    view.segments(new)
    view.fates(new.fates)
    view.effect(effect, people, margin)


def _weights(text: str, features: FeatureSet) -> dict[str, float]:
    pairs = dict(pair.partition("=")[::2] for pair in text.split(",") if pair.strip())
    if unknown := sorted(set(pairs) - set(features.names)):
        known = ", ".join(features.names)
        raise typer.BadParameter(f"--weights: no feature {', '.join(unknown)}; there are {known}")
    try:
        found = {name: float(value) for name, value in pairs.items()}
    except ValueError:
        found = {"": math.nan}
    if not all(0 < value <= 10 for value in found.values()):  # noqa: PLR2004
        raise typer.BadParameter("--weights: write NAME=W,NAME=W with numbers above 0, up to 10")
    return found


def _caution(settings: Settings, new: ModelSnapshot, margin: float, weights: str) -> None:
    """Name the settings that the running processes would have to share."""
    if settings.k not in {0, len(new.segments)}:
        text = f"set SEGMENTER_K={len(new.segments)} for the trainer, or it returns to {settings.k}"
        typer.echo(text, err=True)
    if weights:
        typer.echo(f"set SEGMENTER_WEIGHTS={weights} for later models of the trainer", err=True)
    if margin != settings.margin:
        typer.echo(
            f"set SEGMENTER_MARGIN={margin} for the workers: it is no part of a model", err=True
        )
