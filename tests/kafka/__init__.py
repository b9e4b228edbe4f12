"""Apache Kafka for the tests: fetched with Maven, run on loopback, `python -m tests.kafka`."""
