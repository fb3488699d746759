"""Sends flows to a collector by the gRPC project's own implementation, and prints how it went.

Arguments: port, a folder with certificates.
"""

import json
import pathlib
import socket
import ssl
import sys

import grpc
import h2.config
import h2.connection
from google.protobuf.timestamp_pb2 import Timestamp

messages, services = grpc.protos_and_services("flow/v1alpha1/flow.proto")

port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
read = lambda name: (folder / name).read_bytes()


def channel(key=None, certificate=None):
    credentials = grpc.ssl_channel_credentials(read("ca.pem"), key, certificate)
    named = (("grpc.ssl_target_name_override", "collector.test"),)
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, named)


def say(what, status):
    print(json.dumps([what, status]), flush=True)


def send(what, channel, requests):
    try:
        stub = services.FlowExportServiceStub(channel)
        stub.Export(iter(requests), timeout=10)
        say(what, "OK")
    except grpc.RpcError as error:
        say(what, error.code().name)


def flow(port, source=bytes([10, 0, 0, 1])):
    return messages.Flow(
        ipfix=messages.IPFIX(
            export_time=Timestamp(seconds=1700000010),
            observation_domain_id=7,
            exporter_ip="192.0.2.99",
        ),
        start_ts=Timestamp(seconds=1700000000, nanos=123456789),
        end_ts=Timestamp(seconds=1700000009, nanos=987654321),
        end_reason=messages.FLOW_END_REASON_END_OF_FLOW,
        ip=messages.IP(version=4, source=source, destination=bytes([10, 0, 0, 2])),
        transport=messages.Transport(
            protocol_number=6,
            source_port=port,
            destination_port=443,
            TCP=messages.TCP(state_name="TIME_WAIT"),
        ),
        k8s=messages.Kubernetes(
            flow_type=messages.FLOW_TYPE_INTRA_NODE,
            source_pod_name="web",
            source_pod_namespace="shop",
            source_pod_uid="6f1d5bd8-5b2c-4c0f-9d7b-1b7b2f1a0001",
            source_pod_labels=messages.Labels(labels={"app": "web"}),
            destination_pod_name="db",
            destination_pod_namespace="shop",
            egress_ip=bytes([192, 0, 2, 1]),
            destination_service_ip=bytes([10, 96, 0, 1]),
        ),
        stats=messages.Stats(
            packet_total_count=4, packet_delta_count=4, octet_total_count=400, octet_delta_count=400
        ),
        reverse_stats=messages.Stats(
            packet_total_count=3, packet_delta_count=3, octet_total_count=300, octet_delta_count=300
        ),
    )


def without(part):
    it = flow(2)
    it.ClearField(part)
    return it


ours = channel(read("exporter.test.key"), read("exporter.test.pem"))
request = lambda *flows: messages.ExportRequest(flows=flows)

# As Antrea's Agents: one flow for each request.
send("good", ours, [request(flow(1))])
for part in ["ipfix", "ip", "transport", "k8s", "stats", "reverse_stats", "start_ts", "end_ts"]:
    it = without(part)
    it.transport.source_port = 1000 + it.DESCRIPTOR.fields_by_name[part].number
    send(f"without {part}", ours, [request(it)])
send("nothing at all", ours, [request(messages.Flow()), request(), messages.ExportRequest()])
send("no address", ours, [request(flow(3, source=b"123"))])
long = flow(4)
long.app.http_vals = b"x" * (3 << 20)
send("a long flow between good ones", ours, [request(flow(5), long, flow(6))])
# Longer than what servers of gRPC take by default.
many = request(*[flow(7 + n) for n in range(20_000)])
assert many.ByteSize() > 4 << 20
send("a huge message", ours, [many])

# Other methods, and bytes that are no messages.
stream = services.FlowStreamServiceStub(ours)
try:
    list(stream.GetFlows(messages.GetFlowsRequest(), timeout=10))
except grpc.RpcError as error:
    say("another method", error.code().name)
raw = ours.stream_unary(
    "/antrea_io.antrea.pkg.apis.flow.v1alpha1.FlowExportService/Export",
    request_serializer=lambda it: it,
)
for what, bytes_ in [("group", b"\x0b"), ("cut", b"\x0a\x05\x01"), ("overlong", b"\xff" * 30)]:
    try:
        raw(iter([bytes_]), timeout=10)
        say(what, "OK")
    except grpc.RpcError as error:
        say(what, error.code().name)

# Nobody gets in without a certificate.
send("a stranger", channel(), [request(flow(9))])


# HTTP/2 by hand.
def tls():
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "exporter.test.pem", folder / "exporter.test.key")
    context.set_alpn_protocols(["h2"])
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    return context.wrap_socket(connection, server_hostname="collector.test")


def ended(connection):
    """Reads until the other end hangs up."""
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass
    connection.close()


for garbage in [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 4096, b"\xff" * 4096]:
    connection = tls()
    connection.sendall(garbage)
    ended(connection)
preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
settings = b"\0\0\0\4\0\0\0\0\0"
for garbage in [
    b"\xff\xff\xff\0\0\0\0\0\1",  # a frame of 16 MiB
    b"\0\0\0\1\4\0\0\0\1",  # headers that are empty
    b"\0\0\5\1\4\0\0\0\1\xff\xff\xff\xff\xff",  # and that cannot be decompressed
    b"\0\0\1\0\0\0\0\0\1x",  # data of no stream
]:
    connection = tls()
    connection.sendall(preface + settings + garbage)
    ended(connection)
say("garbage", "survived")

# Streams that say nothing: as many as are allowed on each of many connections, kept to the end.
idle = []
for _ in range(250):
    connection = tls()
    http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    http2.initiate_connection()
    for number in range(4):
        http2.send_headers(
            2 * number + 1,
            [
                (":method", "POST"),
                (":scheme", "https"),
                (":authority", "collector.test"),
                (":path", "/antrea_io.antrea.pkg.apis.flow.v1alpha1.FlowExportService/Export"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            ],
        )
        http2.send_data(2 * number + 1, b"\0\0\0\x10\0\x0a")
    connection.sendall(http2.data_to_send())
    idle.append(connection)
send("beside a thousand idle streams", ours, [request(flow(10))])
print(json.dumps(["end", ""]), flush=True)
sys.stdin.readline()
