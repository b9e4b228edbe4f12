import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

from stream_app.contracts import ModelSnapshot
from stream_app.core.features import FeatureSet
from stream_app.core.training import Trainer, TrainingConfig
from tests.builders import FEATURES, START
from tests.populations import HEAVY, RARE, SILENT, a_population, a_sample, feed

CONFIG = TrainingConfig(warmup_customers=300, guard_every=500)
LAPSED = (250, 3, 60, 18, 20, 90, 0.4, 0, 5)


def a_trainer(snapshot: ModelSnapshot | None = None, **changes: Any) -> Trainer:
    return Trainer(FEATURES, replace(CONFIG, **changes), snapshot)


def ids(snapshot: ModelSnapshot) -> list[int]:
    return [segment.id for segment in snapshot.segments]


def test_after_a_restart_numbering_goes_on_and_nothing_is_published_until_the_refill() -> None:
    customers = a_population()
    last = feed(a_trainer(), customers, 2000)[-1]
    trainer = a_trainer(last)

    assert trainer.state == "serving"
    assert trainer.status == f"serving: version {last.version}, 4 segments"
    changed = a_population(groups=(HEAVY, SILENT, RARE, LAPSED))
    assert feed(trainer, changed, 280) == []

    published = feed(trainer, changed, 3000)
    assert published[0].version == last.version + 1
    assert published[0].training.samples > last.training.samples
    assert set(ids(published[-1])) - set(ids(last)) <= set(range(5, 100))


def test_with_another_feature_set_it_warms_up_anew_but_no_number_is_used_twice() -> None:
    last = feed(a_trainer(), a_population(), 1000)[-1]
    other = FeatureSet.build(30.0)
    trainer = Trainer(other, CONFIG, last)

    assert trainer.state == "warming"
    again = trainer.learn(a_sample(a_population(), feature_set=other.version), START)

    assert again is not None
    assert (again.version, again.training.cause) == (last.version + 1, "warm-up")
    assert min(ids(again)) == last.training.next_segment_id
    assert sorted(i for f in again.fates if f.kind == "died" for i in f.old) == ids(last)


def test_when_another_number_of_segments_is_set_the_guard_brings_it_about() -> None:
    customers = a_population(spread=0.4)
    last = feed(a_trainer(k=4), customers, 1000)[-1]

    published = feed(a_trainer(last, k=6), customers, 2000)

    assert len(published[0].segments) == 6
    assert published[0].training.cause == "reseed"


SCRIPT = """
import hashlib
from stream_app.core.training import Trainer, TrainingConfig
from tests.builders import FEATURES
from tests.populations import GROUPS, a_population, feed
trainer = Trainer(FEATURES, TrainingConfig(warmup_customers=300, guard_every=500))
published = feed(trainer, a_population(spread=0.4), 1000)
published += feed(trainer, a_population(groups=(*GROUPS, GROUPS[0]), spread=0.5), 1500)
text = "".join(s.model_dump_json() for s in published) + repr(trainer._live.centres.tolist())
print(len(published), hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_samples_give_the_same_snapshots_in_every_process() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1", "4242")
    ]

    outputs = {process.communicate(timeout=120)[0] for process in processes}

    assert all(process.returncode == 0 for process in processes)
    assert len(outputs) == 1
    count, digest = outputs.pop().split()
    assert int(count) >= 1
    assert len(digest) == len(hashlib.sha256().hexdigest())
