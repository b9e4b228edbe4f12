"""What workers and trainers tell each other: models, and the customers they are learned from."""

from typing import Literal

from pydantic import AwareDatetime, Field

from stream_app.contracts.fields import Out


class Scaling(Out):
    """How natural units become coordinates: ``clip((f(x) - centre) / scale) * weight``."""

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weight: tuple[float, ...]
    clip: float


class Segment(Out):
    """One learned segment."""

    id: int = Field(description="Never reused")
    name: str
    share: float = Field(ge=0, le=1, description="Part of the sampled population")
    profile: dict[str, float] = Field(description="Median of each feature, in the user's units")


class SegmentFate(Out):
    """What became of segments between two versions."""

    kind: Literal["kept", "born", "died", "split", "merged"]
    old: tuple[int, ...]
    new: tuple[int, ...]


class SegmentRename(Out):
    """A segment that goes on under another name."""

    id: int
    old: str
    new: str


class Training(Out):
    """Facts about how a snapshot came to be."""

    cause: Literal["warm-up", "drift", "reseed", "rollback", "rehearsal", "rename"]
    samples: int = Field(description="Vectors learned from so far")
    customers: int = Field(description="Distinct customers in the reservoir")
    counts: tuple[float, ...] = Field(description="Effective weight per centre")
    inertia_ratio: float | None = Field(description="Online inertia ÷ batch inertia, last guard")
    silhouette: dict[int, float] = Field(
        default_factory=dict, description="Mean silhouette by number of segments, of `k auto`"
    )
    stability: dict[int, float] = Field(
        default_factory=dict, description="Agreement of resamples by number of segments: 1 always"
    )
    next_segment_id: int


class ModelSnapshot(Out):
    """An immutable, numbered model. Topic ``segment-models``, key: the version.

    ``centres`` has one row per segment, in the order of ``segments``; one column per name in
    ``features``; scaled coordinates (no unit).
    """

    schema_version: Literal[1] = 1
    version: int = Field(ge=1)
    feature_set: str
    features: tuple[str, ...]
    scaling: Scaling
    centres: tuple[tuple[float, ...], ...]
    segments: tuple[Segment, ...]
    fates: tuple[SegmentFate, ...] = ()
    renames: tuple[SegmentRename, ...] = Field((), description="Against the version before")
    training: Training
    event_time: AwareDatetime
    created_at: AwareDatetime


class ModelNotice(Out):
    """The trainer stopped publishing models, or goes on. Topic ``segment-models``, key "notice".

    The newest holds; ``version`` goes on serving while learning is frozen.
    """

    schema_version: Literal[1] = 1
    kind: Literal["frozen", "thawed"]
    reason: str = Field(description="What is beyond its limit; what was, when thawed")
    value: float = Field(description="The measure when learning froze")
    limit: float
    version: int = Field(description="The version that serves")
    event_time: AwareDatetime


class SampledCustomer(Out):
    """A stored customer, drawn uniformly, with features in natural units."""

    customer_id: str
    vector: tuple[float, ...]


class PopulationSample(Out):
    """What the trainer learns from. Topic ``feature-vectors``."""

    schema_version: Literal[1] = 1
    feature_set: str
    partition: int
    population: int = Field(description="Customers stored in this partition")
    event_time: AwareDatetime
    customers: tuple[SampledCustomer, ...]
