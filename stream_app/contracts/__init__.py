"""The contracts: every message that enters or leaves the system.

In:  ``Purchase`` (topic ``purchases``) and ``Profile`` (topic ``profiles``).
Out: ``SegmentChanged`` (``segment-changes``), ``DeadLetter`` (``dead-letters``) and
``ModelSnapshot`` and ``ModelNotice`` (``segment-models``).

Unknown fields of incoming messages are ignored, so a shop may add its own; everything that
leaves is closed. ``segmenter schema`` writes these classes as JSON Schema and AsyncAPI.
"""

from stream_app.contracts.fields import (
    Amount,
    Currency,
    Id,
    Label,
    Moment,
)
from stream_app.contracts.incoming import (
    Gender,
    Item,
    Profile,
    Purchase,
)
from stream_app.contracts.models import (
    ModelNotice,
    ModelSnapshot,
    PopulationSample,
    SampledCustomer,
    Scaling,
    Segment,
    SegmentFate,
    SegmentRename,
    Training,
)
from stream_app.contracts.outgoing import (
    DeadLetter,
    Driver,
    Facts,
    NextChange,
    Reason,
    RejectReason,
    SegmentChanged,
    SegmentRef,
    Source,
)

__all__ = [
    "Amount",
    "Currency",
    "DeadLetter",
    "Driver",
    "Facts",
    "Gender",
    "Id",
    "Item",
    "Label",
    "ModelNotice",
    "ModelSnapshot",
    "Moment",
    "NextChange",
    "PopulationSample",
    "Profile",
    "Purchase",
    "Reason",
    "RejectReason",
    "SampledCustomer",
    "Scaling",
    "Segment",
    "SegmentChanged",
    "SegmentFate",
    "SegmentRef",
    "SegmentRename",
    "Source",
    "Training",
]
