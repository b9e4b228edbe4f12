"""Settings of the trainer."""

from dataclasses import dataclass, field

from stream_app.core.drift import Limits


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to learn. "Samples" are sampled customers, whichever message they came in.

    Attributes
    ----------
    k
        Number of segments; 0 chooses 3 to 8 by silhouette.
    seed
        Seed of batch clustering.
    warmup_customers, warmup_days
        Distinct customers, and days of history, needed for the first model.
    window
        Samples the reservoir looks back.
    check_every
        Samples between two comparisons with refined centres.
    guard_every
        Samples between two comparisons with fresh batch clustering.
    guard_ratio, reseed_ratio
        Reseed if refined inertia exceeds batch inertia by the first factor at two guards in
        succession, or by the second at one.
    polish_ratio
        Take over refined centres if online inertia exceeds theirs by this factor.
    publish_ratio
        Publish if the published centres' inertia exceeds that of refined ones by this factor.
    choose_every
        Samples until the number of segments is chosen anew; the pauses double. A reseed chooses too
        if so many samples came since.
    dying
        Reseed if a segment has less than this part of the mean share.
    half_life
        Samples of one centre after which a sample weighs half.
    clip
        Coordinates are cut at this many scales from the median.
    limits
        The drift budget.
    thaw
        Accept the first version that is beyond the drift budget.

    """

    k: int = 0
    seed: int = 42
    warmup_customers: int = 500
    warmup_days: float = 28.0
    window: int = 2000
    check_every: int = 250
    guard_every: int = 1000
    guard_ratio: float = 1.03
    reseed_ratio: float = 1.06
    polish_ratio: float = 1.005
    publish_ratio: float = 1.01
    choose_every: int = 2000
    dying: float = 0.2
    half_life: float = 40.0
    clip: float = 5.0
    limits: Limits = field(default_factory=Limits)
    thaw: bool = False
