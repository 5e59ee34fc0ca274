"""Every place in OTLP that can hold text has a canary that is planted there, or a reason why none can be."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from tests.gated_host import run
from tests.otlp_receiver import OtlpReceiver
from tests.otlp_surface import REQUESTS, places, places_in, texts_at
from tests.otlp_wire import Signal
from tests.surface_injectors import METRICS, SPANS, Planter

_ENTITIES: Final = "the SDK has no entities, and its encoder writes of a resource the attributes alone"

UNREACHABLE: Final[Mapping[str, str]] = {
    "traces:resource_spans.resource.entity_refs": _ENTITIES,
    "logs:resource_logs.resource.entity_refs": _ENTITIES,
    "metrics:resource_metrics.resource.entity_refs": _ENTITIES,
    f"{SPANS}.links.trace_state": "the encoder writes no trace state of a link; one is planted all the same",
    f"{METRICS}.summary.data_points.attributes": "the SDK has no summaries",
    f"{METRICS}.metadata": "the SDK has no metadata of a metric",
}
"""Places, or what such places begin with, that nothing in a Python process can reach, and why."""


def is_unreachable(place: str) -> bool:
    """Whether there is a reason why nothing can stand in a place."""
    return any(f"{place}.".startswith(f"{beginning}.") for beginning in UNREACHABLE)


def field_of(place: str) -> str:
    """The field in which a canary was planted."""
    return place.partition(",")[0]


@pytest.mark.parametrize("signal", REQUESTS)
def test_every_place_has_a_canary_or_a_reason(signal: Signal, receiver: OtlpReceiver) -> None:
    """Each field of the installed protocol that can hold text is planted, or named as out of reach."""
    plant = Planter()
    run(signal, plant, receiver)
    unplanted = places(signal) - {field_of(place) for place in plant.texts}
    assert sorted(place for place in unplanted if not is_unreachable(place)) == []
    assert {field_of(place) for place in plant.texts} <= places(signal)


@pytest.mark.parametrize("signal", REQUESTS)
def test_every_canary_arrives_where_it_was_planted(signal: Signal, receiver: OtlpReceiver) -> None:
    """Without a gate each canary stands in the field that it was planted in, and none in one out of reach."""
    plant = Planter()
    run(signal, plant, receiver)
    arrived: dict[str, bytes] = {}
    for request in receiver.requests:
        for place, text in texts_at(signal, request.payload):
            arrived[place] = arrived.get(place, b"") + b"\n" + text
    assert sorted(place for place in arrived if is_unreachable(place)) == []
    missing = [
        place
        for place, text in plant.texts.items()
        if text.lower().encode() not in arrived.get(field_of(place), b"").lower()
    ]
    assert [place for place in missing if not is_unreachable(field_of(place))] == []


def test_every_reason_is_about_a_place_that_there_is() -> None:
    """A field that has gone from the protocol takes its reason with it."""
    known = [place for signal in REQUESTS for place in places(signal)]
    assert [one for one in UNREACHABLE if not any(f"{place}.".startswith(f"{one}.") for place in known)] == []


@pytest.mark.parametrize(
    ("message", "kind", "place"),
    [
        ("Span", "TYPE_STRING", f"{SPANS}.nickname"),
        ("Span", "TYPE_BYTES", f"{SPANS}.nickname"),
        ("ScopeSpans", "TYPE_STRING", "traces:resource_spans.scope_spans.nickname"),
    ],
)
def test_a_field_that_is_new_is_named(message: str, kind: str, place: str) -> None:
    """A later protocol with one more field that holds text has one more place, by its name."""
    assert places_in(widened(message, kind), "traces") == places("traces") | {place}


def test_a_new_kind_of_value_is_named_wherever_there_are_values() -> None:
    """One more kind of text in an `AnyValue` is one more place in every attribute."""
    new = places_in(widened("AnyValue", "TYPE_STRING"), "traces") - places("traces")
    assert new == {
        place.replace(".string_value", ".nickname")
        for place in places("traces")
        if place.endswith(".string_value")
    }


def widened(message: str, kind: str) -> Any:
    """The descriptor of a protocol for traces whose message has one more field."""
    pool = descriptor_pool.DescriptorPool()

    def add(file: Any) -> None:
        for needed in file.dependencies:
            add(needed)
        copied = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(copied)
        for each in copied.message_type:
            if each.name == message:
                each.field.add(
                    name="nickname",
                    number=900,
                    label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
                    type=descriptor_pb2.FieldDescriptorProto.Type.Value(kind),
                )
        pool.Add(copied)

    descriptor = REQUESTS["traces"].DESCRIPTOR
    add(descriptor.file)
    return pool.FindMessageTypeByName(descriptor.full_name)
