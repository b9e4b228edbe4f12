"""The command line: ``segmenter COMMAND``."""

import sys

import typer

from stream_app.adapters.embedded import MissingServiceError, ServiceError
from stream_app.adapters.kafka_topics import TopicError
from stream_app.cli.ask import changes, customer, segments
from stream_app.cli.dead_letters import dead_letters
from stream_app.cli.demo import demo
from stream_app.cli.model import model
from stream_app.cli.produce import replay, simulate
from stream_app.cli.rebuild import rebuild
from stream_app.cli.run import check_config, trainer, worker
from stream_app.cli.schema import schema
from stream_app.cli.skip_gap import skip_gap
from stream_app.config import ConfigError
from stream_app.core.flood import FloodError
from stream_app.demo.run import StalledError

EXIT_FLOOD = 65
EXIT_SOFTWARE = 70
EXIT_CONFIG = 78

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Streaming real-time customer segmenter: purchases in, segment changes out.\n\n"
    "Start with [bold]segmenter demo[/bold]: a year of real purchases, nothing else needed.",
)
app.command()(demo)
app.command()(worker)
app.command()(trainer)
app.command()(replay)
app.command()(simulate)
app.command()(segments)
app.command()(customer)
app.command()(changes)
app.add_typer(model, name="model")
app.add_typer(dead_letters, name="dead-letters")
app.command()(rebuild)
app.command()(skip_gap)
app.command()(check_config)
app.command()(schema)


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence, not in a traceback."""
    try:
        app()
    except FloodError as error:
        sys.stderr.write(f"segmenter: {error}\n")
        raise SystemExit(EXIT_FLOOD) from None
    except (ConfigError, TopicError, MissingServiceError, ServiceError, StalledError) as error:
        sys.stderr.write(f"segmenter: {error}\n")
        code = EXIT_SOFTWARE if isinstance(error, StalledError) else EXIT_CONFIG
        raise SystemExit(code) from None
