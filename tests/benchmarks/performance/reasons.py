"""Why a bar is not met, in words: by name, and kind of workload or broker where they matter."""

from collections.abc import Mapping

Reasons = Mapping[tuple[str, ...], str]

CHUNK = (
    "a chunk takes nearly two milliseconds of the processor however small it is: framework, three "
    "round trips to the store, publishing, arrays. Four partitions share one event loop, so chunks "
    "grow until the worker keeps up. Seen at 5,000 events/s, on average: a purchase is 16 to 20 ms "
    "old when the thread that fetches hands it over (once, at 4,000 events/s, another consumer "
    "beside it had half of them within 8), and 30 to 40 when it is in the store; then its move is "
    "published. Tried: threads that take turns every half millisecond instead of every five (kept: "
    "lower in three of four comparisons side by side); all partitions of a fetch in one message of "
    "the framework (kept: a twentieth less of the processor for as many chunks); fetching ahead in "
    "the thread, adding what has come since to what was fetched ahead, a broker that holds a fetch "
    "until 8 KB or some milliseconds have come, the loop's other work first between two chunks, a "
    "trainer of less priority, one pipeline for what all partitions ask of the store at the same "
    "instant, which takes a fifth less of the processor in a chunk of one record, removing "
    "published messages from the outbox beside the next publishing (none of them clearly lower in "
    "one to four pairs of runs). At 1,000 events/s the worker takes two thirds of "
    "a core for the same reason: a chunk holds one or two records"
)
SHARED = (
    "publisher, broker, store, trainer and listener take about one of the two cores; the worker's "
    "thread runs for two thirds of the time and waits for a core for another quarter"
)
WHY: Reasons = {
    ("throughput: this worker ÷ plain Faust worker",): (
        "what a purchase costs is spread over many small things, the greatest, scoring, 26 to 29 % "
        "(see the budget). Scoring in arrays, reading without pydantic and fewer texts made the "
        "worker more than twice as fast; what is left is Python that folds, moves and writes one "
        "customer after the other. A third of the purchases here is followed by a move, which "
        "costs as much as the purchase. Tried: the core compiled by mypyc takes 8 % less of its "
        "own time, which is half of the worker's: by perf, the loop of the interpreter takes a "
        "fifth of the worker's time."
    ),
    ("throughput: this worker ÷ bare loop",): (
        "the loop folds nothing, scores nothing and makes no moves; it only carries as many bytes "
        "through the outbox. With even customers the worker is about at the bar, above or below it "
        "from one run to the next (0.28 to 0.41), with The Complete Journey mostly above "
        "(0.33 to 0.46)."
    ),
    ("throughput: this worker ÷ bare loop", "zipf"): (
        "one purchase in seven is the same customer's. The loop writes that customer once a chunk "
        "and has nothing else to do; here every purchase is folded and scored. Since those of one "
        "customer are scored together it is 9,900 to 16,700 events/s on Apache Kafka, in most runs "
        "more than the 10,050 of before, and 0.25 to 0.37 of the loop instead of 0.25."
    ),
    ("throughput: this worker ÷ Bytewax",): (
        "Bytewax keeps the state in its own memory and writes it to Redis in batches, on a few "
        "features, without dead letters, hysteresis, lapses, reasons, an outbox or a watermark in "
        "the same write: a crash loses or repeats events. Its engine is compiled. For a "
        "million events it takes 73 s of the processor on Apache Kafka, we 98; on the embedded "
        "broker 79 and 106 s (in a slow hour 128 and 157, 107 and 157). Quix Streams, with Redis "
        "for each event, is a fourth to a fifth as fast as we are."
    ),
    ("latency: p50", "kafka"): f"{CHUNK}. {SHARED}.",
    ("latency: p99", "kafka"): f"{CHUNK}. {SHARED}.",
    ("latency: p50", "embedded"): (
        "at 75 events/s nothing waits: 12 to 15 ms are what one purchase takes on its way. At 500 "
        "the median was 25 to 37 ms in three runs, and the broker alone (its rows) took 16 to 45; "
        "it looks at every batch of a topic to answer a fetch. So it gets slower with every "
        "record, and 5,000 events/s come last: there the broker alone takes a third of a second, "
        "and with a worker, which writes to it as well, the median was 0.9 to 2.4 s in eight runs. "
        "Before a fetch had time enough to look while records wait, the worker fell behind for "
        "good after 36,000 single records."
    ),
    ("latency: p99", "embedded"): "as for the median.",
    ("latency: p99 during lapses", "embedded"): (
        "fifty thousand changes at once are more than this broker answers in time: after them, "
        "with nothing else going on, the p99 of purchases is hundreds of milliseconds in a shop of "
        "100,000, and three and eight seconds in one of a million after 70,000 purchases (see the "
        "rows of re-scoring)."
    ),
    ("latency: p99 during lapses", "kafka"): (
        "lapses of one partition at a time, 48 at once, between chunks: each such portion takes "
        "about five milliseconds of the loop that four partitions share. In a shop of 300,000 it "
        "was 1.45 and 1.62 times the normal p99 (medians of three cohorts), in one of 100,000 1.43 "
        "to 1.55 (single runs; before, in portions of 96 and of all partitions at once, 2.06 to "
        "2.55). In a shop of a million two runs of three cohorts had 1.69, 3.22, 2.05 and 1.95, "
        "2.32, 2.13 times a normal p99 of 45 to 77 ms, earlier runs 2.22 and 3.60; before 183 ms. "
        "Tried and dropped: portions of 96 again, of one partition (1.75 and 2.27 where 48 had "
        "0.87 and 1.49 in the same run); lapses only while no purchase waits to be published (both "
        "storms together took 112 instead of 67 s in one run each); rests as long as the portions "
        "(27 s, p99 no less)."
    ),
    ("latency: p99 during re-scoring",): (
        "the walk runs at about the pace of a shop of a million here; one of this size is walked "
        "at a quarter of it, by the settings' default."
    ),
    ("CPU: as the shop grows",): (
        "twelve parts of each load in turn, and the machine's pace changes from one to the next. "
        "Nothing in the worker grows with the shop: where the bar was missed it was a smaller shop "
        "that cost more."
    ),
    ("memory of a worker, most",): (
        "with room for 50,000 customers in the worker's cache, the default then, and five million "
        "events took 310 MB. With room for 40,000, the default now, they take 289."
    ),
    ("memory of a worker, end ÷ a fifth of the run",): (
        "the cache still fills with customers at a fifth of such a short run."
    ),
    ("re-scoring by a new model",): "extrapolated from a walk that competed with everything else.",
}


def why(key: tuple[str, str, str], reasons: Reasons = WHY) -> str:
    """Return the most particular reason for (name, workload, broker), empty if there is none.

    A reason may be for one kind of workload, which is its first word, or for one broker.

    >>> reasons = {("speed",): "in general", ("speed", "zipf"): "skewed", ("speed", "kafka"): "far"}
    >>> why(("speed", "zipf, 9 events", "kafka"), reasons)
    'skewed'
    >>> why(("speed", "uniform, 9 events", "kafka"), reasons)
    'far'
    >>> why(("speed", "uniform, 9 events", "embedded"), reasons)
    'in general'
    """
    name, workload, broker = key
    kind = workload.partition(",")[0]
    found = (reasons.get(known, "") for known in ((name, kind), (name, broker), (name,)))
    return next(filter(None, found), "")
