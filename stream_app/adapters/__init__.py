"""Adapters: the only modules that talk to Kafka, Redis and the operating system."""

from stream_app.adapters import kafka_batches

kafka_batches.install()
