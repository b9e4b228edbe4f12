"""``segmenter model``: the learned versions, what another one would do, and which one serves."""

import json
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from stream_app.adapters.clock import wall_ms
from stream_app.cli import model_view as view
from stream_app.cli.desk import UNKNOWN, WRONG_USE, Desk, at_desk, confirm, refuse
from stream_app.cli.options import Json, Publish, Sample
from stream_app.cli.rehearse import rehearse
from stream_app.contracts import Label, ModelSnapshot
from stream_app.core.events import to_datetime
from stream_app.names import read_names

Version = Annotated[str, typer.Argument(metavar="N|latest", help="Version of the model")]
model = typer.Typer(
    no_args_is_help=True,
    help="Versions of the learned segments: compare them, try others, decide which one serves.\n\n"
    "Only rollback, rename and rehearse --promote write, each as a new version.",
)


@model.command("list")
def list_(
    *,
    last: Annotated[int, typer.Option(min=1, help="So many of the newest")] = 20,
    as_json: Json = False,
) -> None:
    """List the versions that are kept, newest first."""
    found = at_desk(lambda desk: desk.queries.versions(last))
    if as_json:
        typer.echo(json.dumps([s.model_dump(mode="json", exclude={"centres"}) for s in found]))
        return
    heads = ("version", "event time", "created", "cause", "k", "inertia ratio", "customers")
    view.table((*heads, "segments"), map(_version_row, found))


def _version_row(s: ModelSnapshot) -> tuple[str, ...]:
    facts, times = s.training, (f"{at:%Y-%m-%d %H:%M}" for at in (s.event_time, s.created_at))
    ratio = "–" if facts.inertia_ratio is None else f"{facts.inertia_ratio:.3f}"
    names = ", ".join(segment.name for segment in s.segments)
    size = f"{facts.customers:,}"
    return str(s.version), *times, facts.cause, str(len(s.segments)), ratio, size, names


@model.command()
def show(version: Version = "latest", *, as_json: Json = False) -> None:
    """Show one version: segments, scaling, what became of the former segments, training."""
    s = at_desk(lambda desk: desk.find(version))
    if as_json:
        typer.echo(s.model_dump_json())
        return
    facts = s.training
    typer.echo(f"version {s.version} ({facts.cause}), features {s.feature_set}, {s.event_time}")
    view.segments(s)
    axes = zip(s.features, s.scaling.centre, s.scaling.scale, s.scaling.weight, strict=True)
    heads = ("scaling", "centre", "scale", "weight")
    view.table(heads, ([name, *(f"{x:.3g}" for x in axis)] for name, *axis in axes))
    view.fates(s.fates)
    ratio = "not compared yet" if facts.inertia_ratio is None else f"{facts.inertia_ratio:.3f}"
    typer.echo(f"learned from {facts.samples:,} samples, {facts.customers:,} customers at the end")
    typer.echo(f"online inertia ÷ batch inertia: {ratio}; next segment id {facts.next_segment_id}")
    for name, values in (("silhouette", facts.silhouette), ("stability", facts.stability)):
        if values:
            curve = ", ".join(f"{k}: {value:.3f}" for k, value in values.items())
            typer.echo(f"{name} by number of segments: {curve}")


@model.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="A", help="Version, or latest")],
    new: Annotated[str, typer.Argument(metavar="B", help="Version, or latest")],
    *,
    sample: Sample = 20_000,
    as_json: Json = False,
) -> None:
    """Compare two versions, and where they place the stored customers. Writes nothing."""
    from stream_app.core import rehearsal  # noqa: PLC0415

    async def work(desk: Desk) -> None:
        a, b = await desk.find(old), await desk.find(new)
        desk.scores(a, b)
        people = await desk.population(sample, desk.settings.seed)
        moved = rehearsal.migration(people, desk.features, a, b, desk.settings.margin)
        shifts, fates = rehearsal.shifts(a, b), rehearsal.fates(a, b)
        if as_json:
            facts: dict[str, Any] = {"from": a.version, "to": b.version, "population": people.total}
            facts |= {"fates": [f.model_dump() for f in fates], "migration": moved.dump()}
            facts["segments"] = [shift._asdict() for shift in shifts]
            typer.echo(json.dumps(facts))
            return
        view.fates(fates)
        view.shifts(shifts)
        view.matrix(moved, people)

    at_desk(work)


@model.command()
def rollback(
    version: Annotated[int, typer.Argument(metavar="N", min=1, help="Version to go back to")],
    *,
    sample: Sample = 20_000,
    yes: Publish = False,
) -> None:
    """Publish an earlier version again under the next number; the trainer goes on from it.

    Segments keep their ids; no id is used twice. First shows who would move.
    """
    from stream_app.core import rehearsal, versions  # noqa: PLC0415

    async def work(desk: Desk) -> None:
        latest, old = await desk.newest(), await desk.find(str(version))
        if old.version == latest.version:
            refuse(f"version {version} is the newest: there is nothing to go back to", WRONG_USE)
        desk.scores(old)
        people = await desk.population(sample, desk.settings.seed)
        names, created = await desk.names(), to_datetime(wall_ms())
        new = versions.rolled_back(old, latest, names, created)
        margin = desk.settings.margin
        view.effect(rehearsal.effect(people, desk.features, latest, new, margin), people, margin)
        confirm(f"Publish version {version} again, as version {new.version}?", yes=yes)
        await desk.publish(new)

    at_desk(work)


model.command()(rehearse)


@model.command()
def rename(
    segment: Annotated[int, typer.Argument(metavar="ID", min=1, help="Id of the segment")],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="1 to 64 characters")] = None,
    *,
    reset: Annotated[bool, typer.Option("--reset", help="Back to the learned name")] = False,
) -> None:
    """Give a segment a name of your own; it stays as long as the segment lives.

    Publishes a new version at once. Customers keep the old name on record until they next move.
    """
    from stream_app.core import versions  # noqa: PLC0415

    if reset == (name is not None):
        raise typer.BadParameter("give either a NAME or --reset")
    wanted = None if name is None else _label(name)

    async def work(desk: Desk) -> None:
        latest, given = await desk.find("latest"), await desk.store.names()
        filed = read_names(desk.settings.names_file).get(segment)
        others = {s.id: s.name for s in latest.segments if s.id != segment}
        if len(others) == len(latest.segments):
            known = ", ".join(f"{i} {n}" for i, n in others.items())
            refuse(f"there is no segment {segment}; there are: {known}", UNKNOWN)
        for other, taken in others.items():
            if wanted and taken.casefold() == wanted.casefold():
                refuse(f"segment {other} is called {taken!r} already: choose another", WRONG_USE)
        names = {i: n for i, n in given.items() if i != segment}
        names |= {segment: wanted} if wanted else {}
        new = versions.with_name(latest, segment, wanted or filed, to_datetime(wall_ms()))
        await desk.publish(new, names)

    at_desk(work)


def _label(name: str) -> str:
    try:
        return TypeAdapter(Label).validate_python(name.strip())
    except ValidationError:
        raise typer.BadParameter("NAME: 1 to 64 characters, no control characters") from None
