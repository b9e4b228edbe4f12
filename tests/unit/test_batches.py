"""Batches are read as aiokafka reads them, whatever the names of their headers are made of."""

from collections.abc import Callable

import pytest
from aiokafka import codec
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from stream_app.adapters.kafka_batches import Records

HEAD = 61  # bytes of a batch before its records
CODEC_AT = 22
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": codec.gzip_encode,
    "snappy": codec.snappy_encode,
    "lz4": codec.lz4_encode,
    "zstd": codec.zstd_encode,
}
VALUES = [b"one", "zwö".encode(), None, b"\xff\xfe"]


def a_batch(name: bytes, compression: str = "none") -> bytes:
    """Four records; all but the first have a header ``name`` of four bytes and another one."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10_000)
    for n, value in enumerate(VALUES):
        headers = [("name", b"\xff"), ("größe", None)] if n else []
        builder.append(n, timestamp=n, key=b"k", value=value, headers=headers)
    raw = bytes(builder.build()).replace(b"name", name)
    body = ENCODERS[compression](raw[HEAD:])
    head = bytearray(raw[:HEAD])
    head[8:12] = (HEAD - 12 + len(body)).to_bytes(4, "big")
    head[CODEC_AT] = list(ENCODERS).index(compression)
    return bytes(head) + body


@pytest.mark.parametrize("compression", ENCODERS)
@pytest.mark.parametrize(
    ("raw", "name"),
    [(b"name", "name"), (b"\xffame", "\ufffdame"), (b"\xe9\xe8xx", "\ufffd\ufffdxx")],
)
def test_every_record_is_read_once_whatever_the_name(
    compression: str, raw: bytes, name: str
) -> None:
    records = Records(a_batch(raw, compression) + a_batch(b"last"))

    first, second = (list(records.next_batch()) for _ in range(2))

    assert [(r.offset, r.timestamp, r.key, r.value) for r in first] == [
        (n, n, b"k", value) for n, value in enumerate(VALUES)
    ]
    assert [r.headers for r in first] == [[], *[[(name, b"\xff"), ("größe", None)]] * 3]
    assert [r.headers[0][0] for r in second[1:]] == ["last"] * 3
    assert not records.has_next()
    assert records.next_batch() is None


def test_a_batch_that_is_cut_short_is_not_read() -> None:
    records = Records(a_batch(b"name")[:-1])

    assert not records.has_next()
    assert records.next_batch() is None
    assert records.size_in_bytes() > 0
