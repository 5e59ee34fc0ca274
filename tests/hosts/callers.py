"""A host whose callers choose what it is asked for: which method of gRPC, which task of Celery.

It is started with what is asked for: `rpc SERVICE METHOD`, or `celery NAME`. It prints its spans as JSON,
each once without a gate and once as it passes the strict one.
"""

import json
import sys
from concurrent import futures
from typing import Any

import grpc  # type: ignore[import-untyped]  # it ships no types
from celery import Celery
from google.protobuf import descriptor_pb2, descriptor_pool
from opentelemetry import trace
from opentelemetry.instrumentation.celery import (  # type: ignore[import-not-found]  # not installed here
    CeleryInstrumentor,
)
from opentelemetry.instrumentation.grpc import (  # type: ignore[import-not-found]  # the same
    GrpcInstrumentorClient,
    GrpcInstrumentorServer,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_incident import ContentGateSpanProcessor


class Everything(grpc.GenericRpcHandler):  # type: ignore[misc]  # see above
    """A proxy's: every method is one of its own."""

    def service(self, _: Any) -> Any:
        """Send back what came."""
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


def define_interface() -> None:
    """What a module does that protoc wrote: there is a service `desk.Desk` with a method `Close`."""
    file = descriptor_pb2.FileDescriptorProto(name="desk.proto", package="desk", syntax="proto3")
    file.message_type.add(name="Ticket")
    service = file.service.add(name="Desk")
    service.method.add(name="Close", input_type=".desk.Ticket", output_type=".desk.Ticket")
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


def call(service: str, method: str) -> None:
    """Ask a server of this process, by a client of this process."""
    define_interface()
    GrpcInstrumentorServer().instrument()
    GrpcInstrumentorClient().instrument()
    with futures.ThreadPoolExecutor(2) as workers:
        server = grpc.server(workers)
        server.add_generic_rpc_handlers((Everything(),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            channel.unary_unary(f"/{service}/{method}")(b"ticket", timeout=30)
        server.stop(None).wait()


def send(name: str) -> None:
    """Send a task by a name that a caller gave, and run one that is registered."""
    CeleryInstrumentor().instrument()
    desk = Celery("desk", broker="memory://", set_as_current=True)

    @desk.task(name="desk.close")  # type: ignore[untyped-decorator]  # Celery ships no types
    def close() -> None:
        """Nothing is to be done."""

    desk.send_task(name)
    close.apply()


unfiltered, strict = InMemorySpanExporter(), InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(unfiltered))
provider.add_span_processor(ContentGateSpanProcessor(SimpleSpanProcessor(strict)))
trace.set_tracer_provider(provider)
if sys.argv[1] == "rpc":
    call(*sys.argv[2:])
else:
    send(*sys.argv[2:])
spans = [
    sorted((span.kind.name, span.name, sorted((span.attributes or {}).items())) for span in each)
    for each in (unfiltered.get_finished_spans(), strict.get_finished_spans())
]
sys.stdout.write(json.dumps(spans))
