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
    "trainer of less priority (none of them clearly lower in one to four pairs of runs)"
)
SHARED = (
    "publisher, broker, store, trainer and listener take about one of the two cores; the worker's "
    "thread runs for two thirds of the time and waits for a core for another quarter"
)
WHY: Reasons = {
    ("throughput: this worker ÷ plain Faust worker",): (
        "what a purchase costs is spread over many small things, none much over a fifth (see the "
        "budget). Scoring in arrays, reading without pydantic and fewer texts made the worker more "
        "than twice as fast; what is left is Python that folds, moves and writes one "
        "customer after the other. A third of the purchases here is followed by a move, which "
        "costs as much as the purchase. Tried: the core compiled by mypyc takes 8 % less of its "
        "own time, which is half of the worker's: by perf, the loop of the interpreter takes a "
        "fifth of the worker's time."
    ),
    ("throughput: this worker ÷ bare loop",): (
        "the loop folds nothing, scores nothing and makes no moves; it only carries as many bytes "
        "through the outbox."
    ),
    ("throughput: this worker ÷ bare loop", "zipf"): (
        "one purchase in seven is the same customer's. Purchases of one customer are judged one "
        "after the other, each round of them in arrays of its own; the loop writes that customer "
        "once a chunk."
    ),
    ("throughput: this worker ÷ Bytewax",): (
        "Bytewax keeps the state in its own memory and writes it to Redis in batches, on a few "
        "features, without dead letters, hysteresis, lapses, reasons, an outbox or a watermark in "
        "the same write: a crash loses or repeats events. Its engine is compiled. Quix Streams, "
        "with Redis for each event, is a fifth to a third as fast."
    ),
    ("latency: p50", "kafka"): f"{CHUNK}. {SHARED}.",
    ("latency: p99", "kafka"): f"{CHUNK}. {SHARED}.",
    ("latency: p50", "embedded"): (
        "at 500 events/s most of it is the broker's (the rows of the broker alone), which looks at "
        "every batch of a topic to answer a fetch; at 5,000 it soon answers none, so it gets a "
        "tenth. At 75 nothing waits: 12 ms are what one purchase takes on its way."
    ),
    ("latency: p99", "embedded"): "as for the median; half of it is the broker's.",
    ("latency: p99 during lapses",): (
        "lapses come between chunks, 96 at a time and up to 256 under load. Each portion takes "
        "some ten milliseconds of the loop that four partitions share, and its moves are published "
        "before those of the next purchase. Tried: half as many at a time, one lane after the "
        "other, with rests as long as the portions; in one run each, all took 27 s instead of 11 "
        "and the p99 was no less."
    ),
    ("latency: p99 during re-scoring",): (
        "the walk runs at about the pace of a shop of a million here; one of this size is walked "
        "at a quarter of it, by the settings' default."
    ),
    ("bytes in the store per customer",): (
        "the JSON of a customer is about 350 bytes, a third of it the marks of the last 16 events "
        "and a third the 8 categories; key, hash entry and place in the due set take 170 more, and "
        "the models, shared by all, come on top of that in a small shop."
    ),
    ("CPU: as the shop grows",): (
        "the sizes are measured one after the other, on a machine whose pace changes: in an "
        "earlier run the costs fell with the size (92, 79 and 60 s), in this one the least shop "
        "was the cheapest. Nothing in the worker grows with the shop."
    ),
    ("CPU: two workers ÷ one",): (
        "one and two are measured one after the other, on a machine whose pace changes; earlier "
        "runs had 1.01 to 1.03."
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
