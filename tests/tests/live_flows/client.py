"""Sends flows to an aggregator and asks for them, by the gRPC project's own implementation.

Arguments: port that takes flows, port that tells them, a folder with certificates. Each line of
standard input is one thing to do, as JSON; each line of standard output what became of it.
"""

import json
import pathlib
import sys

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict

messages, services = grpc.protos_and_services("flow/v1alpha1/flow.proto")

export, stream, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
read = lambda name: (folder / name).read_bytes()


def channel(port, certified):
    own = (read("exporter.test.key"), read("exporter.test.pem")) if certified else (None, None)
    credentials = grpc.ssl_channel_credentials(read("ca.pem"), *own)
    # Each channel is a connection of its own.
    named = (
        ("grpc.ssl_target_name_override", "collector.test"),
        ("grpc.use_local_subchannel_pool", 1),
    )
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, named)


def say(what):
    print(json.dumps(what), flush=True)


def send(flows):
    request = ParseDict({"flows": flows}, messages.ExportRequest())
    services.FlowExportServiceStub(channel(export, True)).Export(iter([request]), timeout=10)
    say("sent")


def ask(request, certified=True, token=None, until=None):
    """Says which flows came, and how it ended; with `until`, hangs up after so many."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    stub = services.FlowStreamServiceStub(channel(stream, certified))
    ports, first, dropped = [], None, 0
    try:
        request = ParseDict(request, messages.GetFlowsRequest())
        call = stub.GetFlows(request, metadata=metadata, timeout=30)
        for answer in call:
            dropped = answer.dropped_count
            for flow in answer.flows:
                first = first or MessageToDict(flow, preserving_proto_field_name=True)
                ports.append(flow.transport.source_port)
            if until is not None and len(ports) >= until:
                call.cancel()
        status, details = "OK", ""
    except grpc.RpcError as error:
        status, details = error.code().name, error.details()
    say({"ports": ports, "first": first, "dropped": dropped, "status": status, "why": details})


held = []


def hold(calls):
    """Follows so many times, and goes on."""
    for number in range(calls):
        if number % 8 == 0:
            stub = services.FlowStreamServiceStub(channel(stream, True))
        held.append(stub.GetFlows(messages.GetFlowsRequest(follow=True)))
    say("held")


for line in sys.stdin:
    what = json.loads(line)
    if "send" in what:
        send(what["send"])
    elif "hold" in what:
        hold(what["hold"])
    else:
        ask(**what)
