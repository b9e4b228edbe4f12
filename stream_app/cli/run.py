"""``segmenter worker``, ``trainer`` and ``check-config``: the long-running processes."""

import typer
from rich.console import Console
from rich.table import Table

from stream_app.config import Settings, env_name, load


def worker() -> None:
    """Keep features and segments true, event by event.

    Reads purchases and profiles from KAFKA_BROKER, keeps customers in REDIS_URL and publishes
    segment changes. Start as many as there are partitions; each takes its share.

    Stop with Ctrl-C or SIGTERM.
    """
    from stream_app.worker import run  # noqa: PLC0415

    run(load())


def trainer() -> None:
    """Learn the segments from a sample of the stored customers.

    One trainer is active; further ones stand by and take over.
    """
    from stream_app.trainer import run  # noqa: PLC0415

    run(load())


def check_config() -> None:
    """Show every setting in force, its environment variable and what it means.

    Exit code 78 and the name of the variable if one is wrong.
    """
    settings = load()
    table = Table("variable", "value", "meaning", highlight=False)
    shown = settings.shown()
    for field, info in Settings.model_fields.items():
        changed = shown[field] != info.get_default(call_default_factory=True)
        value = str(shown[field])
        table.add_row(
            env_name(field), f"[bold]{value}[/bold]" if changed else value, info.description
        )
    Console(width=None if typer.get_text_stream("stdout").isatty() else 140).print(table)
