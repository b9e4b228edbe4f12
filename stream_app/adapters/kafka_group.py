"""Errors of the consumer group, which Faust leaves lying: taken, logged, or final."""

import logging
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, errors

logger = logging.getLogger(__name__)
REFUSALS = (
    errors.GroupAuthorizationFailedError,
    errors.InconsistentGroupProtocolError,
    errors.InvalidGroupIdError,
    errors.InvalidSessionTimeoutError,
    errors.TopicAuthorizationFailedError,
)


def heed_errors(consumer: AIOKafkaConsumer, failed: Callable[[errors.KafkaError], None]) -> None:
    """Take the group's last error, if there is one; ``failed`` gets those that will not pass.

    aiokafka joins again only once its error has been taken, by a call that Faust never makes:
    without this, a worker idles for good after any unforeseen answer of the group's broker.
    """
    group = consumer._coordinator  # noqa: SLF001
    if group is None:  # not started yet
        return
    try:
        group.check_errors()
    except errors.KafkaError as error:
        if isinstance(error, REFUSALS) or group._coordination_task.done():  # noqa: SLF001
            failed(error)
        else:
            logger.warning("the group was not joined, trying again: %r", error)
