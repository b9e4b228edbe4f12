"""The review before a model is published: the drift budget applied, and people told of it."""

from datetime import datetime
from typing import Literal

from stream_app.contracts import ModelNotice, ModelSnapshot
from stream_app.core import drift
from stream_app.core.live import LiveModel
from stream_app.core.model import Matrix, coordinates


class Review:
    """Lets versions pass, or freezes learning; collects the notices to publish.

    ``reason`` is the excess that froze learning, None while it is not frozen.
    """

    def __init__(self, limits: drift.Limits, samples: int, day: float, *, thaw: bool) -> None:
        self._budget = drift.Budget(limits, thaw=thaw)
        self._since = (samples, day)
        self._notices: list[ModelNotice] = []

    @property
    def reason(self) -> drift.Excess | None:
        """Why learning is frozen."""
        return self._budget.reason

    def thaw(self) -> None:
        """Accept the next version, whatever it is."""
        self._budget.thaw()

    def notices(self) -> list[ModelNotice]:
        """Hand over the notices since the last call."""
        handed, self._notices = self._notices, []
        return handed

    def passed(self, samples: int, day: float) -> None:
        """Note that a version was published."""
        self._since = (samples, day)

    def passes(
        self,
        live: LiveModel,
        transformed: Matrix,
        last: ModelSnapshot,
        samples: int,
        event_time: datetime,
    ) -> bool:
        """Judge what would follow ``last``, on the (n, d) customers of now."""
        days = event_time.timestamp() / drift.DAY_S - self._since[1]
        points = coordinates(transformed, live.scaling)
        elapsed = drift.Elapsed(samples - self._since[0], days)
        measures = drift.measure(points, live.published, live.current, elapsed, live.ratio)
        before = self._budget.reason
        allowed = self._budget.allows(measures, samples)
        after = self._budget.reason
        if after and not before:
            self._tell("frozen", after, last, event_time)
        if before and not after:
            self._tell("thawed", before, last, event_time)
        return allowed

    def _tell(
        self,
        kind: Literal["frozen", "thawed"],
        why: drift.Excess,
        last: ModelSnapshot,
        event_time: datetime,
    ) -> None:
        facts = why._asdict()
        notice = ModelNotice(kind=kind, version=last.version, event_time=event_time, **facts)
        self._notices.append(notice)
