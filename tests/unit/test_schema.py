import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from typer.testing import CliRunner, Result

from stream_app.adapters.kafka_topics import _wanted
from stream_app.cli.schema import documents, schema
from stream_app.config import Settings
from stream_app.contracts import DeadLetter, ModelSnapshot, Purchase, SegmentChanged
from stream_app.core.features import FeatureSet
from stream_app.core.messages import dead_letter_of
from stream_app.schema import INCOMING, OUTGOING, asyncapi, file_name, json_schema
from stream_app.schema_examples import examples

DOCS = Path(__file__).parents[2] / "docs"
CONTRACTS = {contract.__name__: contract for contract in INCOMING + OUTGOING}
EXAMPLES = [(name, example) for name, found in examples().items() for example in found]
JSON = {name: contract for name, contract in CONTRACTS.items() if contract is not DeadLetter}
PAYLOADS = [(JSON[name], example["payload"]) for name, example in EXAMPLES if name in JSON]

app = typer.Typer()
app.command()(schema)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def registry() -> Registry[Any]:
    """The kept files, addressed as they address each other."""
    return Registry().with_resources(
        (name, DRAFT202012.create_resource(json.loads(data))) for name, data in documents().items()
    )


def validator(pointer: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"asyncapi.json#{pointer}"}, registry=registry())


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from references(child)


@pytest.mark.parametrize("name", documents())
def test_the_kept_documents_are_what_the_code_says(name: str) -> None:
    kept = DOCS / name

    assert kept.exists(), f"docs/{name} is missing; run: segmenter schema"
    assert kept.read_bytes() == documents()[name], f"docs/{name} is old; run: segmenter schema"


def test_no_kept_schema_outlives_its_contract() -> None:
    kept = {path.relative_to(DOCS).as_posix() for path in DOCS.glob("schemas/*")}

    assert kept == {file_name(contract) for contract in CONTRACTS.values()}


@pytest.mark.parametrize("contract", CONTRACTS.values())
def test_every_contract_is_a_titled_and_versioned_draft_2020_12_schema(
    contract: type[BaseModel],
) -> None:
    found = json_schema(contract)

    Draft202012Validator.check_schema(found)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["$id"] == f"urn:segmenter:{contract.__name__}:1"
    assert found["title"] == contract.__name__
    assert found["description"]
    assert ">>>" not in found["description"]
    assert found["x-schema-version"] == 1


@pytest.mark.parametrize("contract", OUTGOING)
def test_what_goes_out_always_has_every_field_and_no_other(contract: type[BaseModel]) -> None:
    found = json_schema(contract)

    assert found["required"] == list(contract.model_fields)
    assert found["additionalProperties"] is False


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_example_fits_the_payload_and_the_headers_it_shows(
    name: str, example: dict[str, Any]
) -> None:
    validator(f"/components/messages/{name}/payload").validate(example["payload"])
    if "headers" in asyncapi()["components"]["messages"][name]:
        validator(f"/components/messages/{name}/headers").validate(example["headers"])


@pytest.mark.parametrize(("contract", "payload"), PAYLOADS)
def test_every_example_is_accepted_by_its_contract(
    contract: type[BaseModel], payload: dict[str, Any]
) -> None:
    found = contract.model_validate_json(json.dumps(payload))

    assert contract.model_validate_json(found.model_dump_json()) == found


def test_the_example_of_a_dead_letter_says_what_is_wrong_with_its_purchase() -> None:
    [example] = examples()["DeadLetter"]

    with pytest.raises(ValidationError) as refused:
        Purchase.model_validate_json(example["payload"])

    [wrong] = refused.value.errors()
    assert example["headers"]["dlq-detail"] == f"{wrong['loc'][0]}: {wrong['msg']}"


def test_the_headers_of_a_dead_letter_hold_every_fact_of_its_contract() -> None:
    [example] = examples()["DeadLetter"]
    letter = dead_letter_of([(name, text.encode()) for name, text in example["headers"].items()])

    Draft202012Validator(json_schema(DeadLetter)).validate(letter.model_dump(mode="json"))


def test_the_headers_of_a_change_are_a_cloudevent_in_binary_mode() -> None:
    [example] = examples()["SegmentChanged"]
    change = SegmentChanged.model_validate(example["payload"])
    headers = asyncapi()["components"]["messages"]["SegmentChanged"]["headers"]

    assert set(headers["required"]) == set(example["headers"])
    assert headers["properties"]["ce_specversion"] == {"const": "1.0"}
    assert headers["properties"]["ce_type"] == {"const": "segmenter.segment-changed.v1"}
    assert example["headers"]["ce_id"] == change.id
    assert example["headers"]["ce_subject"] == change.customer_id


def test_the_example_of_a_model_has_the_features_of_the_default_settings() -> None:
    [example] = examples()["ModelSnapshot"]
    features = FeatureSet.build(Settings.model_fields["half_life_days"].default)
    model = ModelSnapshot.model_validate(example["payload"])

    assert model.feature_set == features.version
    assert model.features == features.names
    for row in (*model.centres, model.scaling.centre, model.scaling.scale, model.scaling.weight):
        assert len(row) == len(features.names)


@pytest.mark.parametrize("name", documents())
def test_every_reference_resolves(name: str) -> None:
    resolver = registry().resolver(base_uri=name)

    for reference in references(json.loads(documents()[name])):
        assert resolver.lookup(reference).contents


def test_every_topic_of_the_settings_is_one_channel() -> None:
    topics = {f: i.default for f, i in Settings.model_fields.items() if f.startswith("topic_")}
    channels = asyncapi()["channels"]

    assert {f"topic_{name}": c["address"] for name, c in channels.items()} == topics
    assert len(set(topics.values())) == len(channels)


def test_topics_are_described_as_they_are_created() -> None:
    channels = {c["address"]: c["bindings"]["kafka"] for c in asyncapi()["channels"].values()}

    for topic in _wanted(Settings()):
        told = channels.pop(topic.name)
        config = told["topicConfiguration"]
        assert told["partitions"] == topic.num_partitions
        assert ",".join(config["cleanup.policy"]) == topic.topic_configs["cleanup.policy"]
        assert str(config.get("retention.ms")) == str(topic.topic_configs.get("retention.ms"))
    assert not channels


def test_every_channel_has_one_sender_and_every_message_one_channel() -> None:
    document = asyncapi()
    sent = [o["channel"]["$ref"] for o in document["operations"].values() if o["action"] == "send"]
    carried = [name for c in document["channels"].values() for name in c["messages"]]

    assert sorted(sent) == sorted(f"#/channels/{name}" for name in document["channels"])
    assert sorted(carried) == sorted(document["components"]["messages"])


@pytest.mark.parametrize("name", ["ProfileErased", "CustomerErased"])
def test_an_erasure_is_a_null_value_under_the_key_of_the_customer(name: str) -> None:
    key = validator(f"/components/messages/{name}/bindings/kafka/key")

    assert validator(f"/components/messages/{name}/payload").is_valid(None)
    assert not validator(f"/components/messages/{name}/payload").is_valid({})
    assert key.is_valid("c-42")
    assert not key.is_valid("two words")


def test_renaming_a_topic_in_the_environment_changes_no_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = documents()
    monkeypatch.setenv("SEGMENTER_TOPIC_PURCHASES", "orders")

    assert documents() == before


def test_the_command_writes_what_its_check_then_accepts(tmp_path: Path) -> None:
    out = tmp_path / "new" / "docs"

    written = run("--out", str(out))

    assert written.exit_code == 0
    assert written.output.splitlines() == [f"wrote {out / name}" for name in documents()]
    assert run("--out", str(out), "--check").output == f"{out} agrees with the code\n"


def test_the_check_names_the_files_that_differ_and_writes_nothing(tmp_path: Path) -> None:
    run("--out", str(tmp_path))
    changed, missing = tmp_path / "schemas/purchase.json", tmp_path / "schemas/profile.json"
    changed.write_text("{}\n")
    missing.unlink()

    checked = run("--out", str(tmp_path), "--check")

    assert checked.exit_code == 1
    assert f"{changed} differs from the code" in checked.output
    assert f"{missing} is missing" in checked.output
    assert "asyncapi.json" not in checked.output
    assert f"Run: segmenter schema --out {tmp_path}" in checked.output
    assert changed.read_text() == "{}\n"
    assert not missing.exists()


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    refused = run("--out", str(tmp_path / "file"))

    assert refused.exit_code == 2
    assert "Not a directory" in refused.output
    assert "Traceback" not in refused.output


def test_every_document_is_sorted_and_ends_with_one_newline() -> None:
    for data in documents().values():
        text = data.decode()
        again = json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False)
        assert text == again + "\n"
