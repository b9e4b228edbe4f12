"""Adapters: the only modules that talk to Kafka, Redis and the operating system."""
