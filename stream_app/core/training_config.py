"""Settings of the trainer."""

from dataclasses import dataclass


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
        Samples between two looks at how far the centres have moved.
    guard_every
        Samples between two comparisons with batch clustering.
    guard_ratio
        Reseed if online inertia exceeds batch inertia by this factor.
    dying
        Reseed if a segment has less than this part of the mean share.
    half_life
        Samples of one centre after which a sample weighs half.
    publish_shift
        Publish if a centre is this far from where it was last published, in scaled units.
    clip
        Coordinates are cut at this many scales from the median.

    """

    k: int = 0
    seed: int = 42
    warmup_customers: int = 500
    warmup_days: float = 28.0
    window: int = 1000
    check_every: int = 250
    guard_every: int = 2000
    guard_ratio: float = 1.03
    dying: float = 0.2
    half_life: float = 40.0
    publish_shift: float = 0.2
    clip: float = 5.0
