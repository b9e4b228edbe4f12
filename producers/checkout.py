"""The publisher a checkout system uses: purchases and profiles in, acknowledged records out.

Records wait in a bounded buffer until every in-sync replica has them. `flush` and `close` return
only when all are acknowledged, and raise `DeliveryError` otherwise: nothing is lost in silence.
"""

import logging
from collections import deque
from collections.abc import Sequence
from threading import Lock
from types import TracebackType
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from producers.resting_client import RestingClient
from stream_app.contracts import Profile, Purchase

log = logging.getLogger(__name__)

RECORD_OVERHEAD = 512  # bytes of bookkeeping a buffered record costs beside its value
# As Kafka's own clients. With kafka-python's half a minute, a broker that was away for fifteen
# seconds is missed for twenty more, and a flush fails on it.
RECONNECT_MAX_MS = 1_000

Headers = Sequence[tuple[str, bytes]]


class BrokerUnreachableError(Exception):
    """No Kafka broker answered at the given address."""


class DeliveryError(Exception):
    """Records were not acknowledged. ``count``: how many; ``cause``: the first reason."""

    def __init__(self, count: int, cause: BaseException) -> None:
        reason = str(cause) or type(cause).__name__
        records = "1 record was" if count == 1 else f"{count:,} records were"
        super().__init__(f"{records} not acknowledged by Kafka; first cause: {reason}")
        self.count = count
        self.cause = cause


class CheckoutPublisher:
    """Publish purchases and profiles, keyed by customer, each acknowledged by all replicas.

    ``broker`` is ``host:port[,host:port]``. At most ``buffer_bytes`` wait for acknowledgement;
    a full buffer makes the caller wait. ``timeout`` (seconds) bounds connecting and flushing.
    Further keywords (``security_protocol``, ``ssl_cafile``, ``sasl_mechanism`` ...) go to
    `kafka.KafkaProducer`. Safe to share between threads.

    Raises BrokerUnreachableError when nothing answers at ``broker``.
    """

    def __init__(
        self,
        broker: str,
        *,
        topic_purchases: str = "purchases",
        topic_profiles: str = "profiles",
        idempotence: bool = True,
        buffer_bytes: int = 32 * 1024 * 1024,
        timeout: float = 30.0,
        **options: Any,
    ) -> None:
        self.topic_purchases, self.topic_profiles = topic_purchases, topic_profiles
        self.acknowledged = 0
        self._pending: deque[tuple[Any, int]] = deque()
        self._buffered, self._buffer_bytes = 0, buffer_bytes
        self._failed = 0
        self._cause: BaseException | None = None
        self._timeout, self._lock = timeout, Lock()
        self._producer = _connect(broker, timeout, idempotence, options)

    def purchase(self, purchase: Purchase) -> None:
        """Publish a purchase or a refund."""
        value = purchase.model_dump_json(exclude_none=True).encode()
        self.send(self.topic_purchases, purchase.customer_id, value)

    def profile(self, profile: Profile) -> None:
        """Publish what a customer declared."""
        value = profile.model_dump_json(exclude_none=True).encode()
        self.send(self.topic_profiles, profile.customer_id, value)

    def erase(self, customer_id: str) -> None:
        """Ask that everything known of a customer be forgotten (a null profile)."""
        self.send(self.topic_profiles, customer_id, None)

    def send(self, topic: str, key: str, value: bytes | None, headers: Headers = ()) -> None:
        """Publish encoded bytes; wait first if the buffer is full.

        Raises DeliveryError when this record cannot be taken at all (too large, no such topic).
        """
        size = len(value or b"") + RECORD_OVERHEAD
        with self._lock:
            self._make_room(size)
            try:
                future = self._producer.send(topic, value, key.encode(), list(headers))
            except KafkaError as error:
                raise DeliveryError(1, error) from error
            self._pending.append((future, size))
            self._buffered += size

    def flush(self, timeout: float | None = None) -> None:
        """Return when every record sent so far is acknowledged.

        Raises DeliveryError with the number of records that are not, and the first cause. The
        refused are reported once; those still waiting are tried again by the next flush.
        """
        with self._lock:
            cause = self._flush(self._timeout if timeout is None else timeout)
            while self._pending and self._pending[0][0].is_done:
                self._settle()
            failed, first = self._failed + len(self._pending), self._cause or cause
            self._failed, self._cause = 0, None
        if failed:
            raise DeliveryError(failed, first or KafkaError("no answer in time"))

    def close(self, timeout: float | None = None) -> None:
        """Flush, then disconnect. Raises DeliveryError as `flush` does."""
        try:
            self.flush(timeout)
        finally:
            self._disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except DeliveryError as undelivered:
            if error is None:
                raise
            log.error("while leaving on another error: %s", undelivered)  # noqa: TRY400

    def _flush(self, timeout: float) -> KafkaError | None:
        try:
            self._producer.flush(timeout)
        except KafkaError as error:
            return error
        return None

    def _make_room(self, size: int) -> None:
        while self._pending and self._pending[0][0].is_done:
            self._settle()
        while self._pending and self._buffered + size > self._buffer_bytes:
            self._settle()

    def _settle(self) -> None:
        """Take the oldest record from the buffer once its fate is known."""
        future, size = self._pending.popleft()
        self._buffered -= size
        try:
            future.get()
        except KafkaError as error:
            if not self._failed:
                log.error("Kafka refused a record: %s", error)  # noqa: TRY400
            self._failed += 1
            self._cause = self._cause or error
        else:
            self.acknowledged += 1

    def _disconnect(self) -> None:
        if self._pending:
            # With records unsent, the client's close() raises and leaves its thread running.
            self._producer._sender.force_close()  # noqa: SLF001
        try:
            self._producer.close(self._timeout)
        except KafkaError as error:
            log.warning("closing the connection: %s", error)


def _connect(broker: str, timeout: float, idempotence: bool, options: dict[str, Any]) -> Any:  # noqa: FBT001
    settings = {
        "bootstrap_servers": broker.split(","),
        "acks": "all",
        "enable_idempotence": idempotence,
        "linger_ms": 5,
        "batch_size": 128 * 1024,
        "kafka_client": RestingClient,
        "reconnect_backoff_max_ms": RECONNECT_MAX_MS,
        "bootstrap_timeout_ms": int(timeout * 1000),
        "max_block_ms": int(timeout * 1000),
    }
    try:
        return KafkaProducer(**(settings | options))
    except KafkaError as error:
        raise BrokerUnreachableError(
            f"no Kafka broker answers at {broker} ({error}): is it running, and is the address"
            " host:port?"
        ) from error
