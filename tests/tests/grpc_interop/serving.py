"""Serves a FlowExportService over mutual TLS."""

import threading
from concurrent import futures

import grpc

messages, services = grpc.protos_and_services("flow/v1alpha1/flow.proto")


def serve(servicer, port, folder, listening):
    """Takes whom `ca.pem` vouches for; calls `listening` once it does, and does not return.

    Without a servicer the server knows nothing of the service.
    """
    read = lambda name: (folder / name).read_bytes()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    if servicer is not None:
        services.add_FlowExportServiceServicer_to_server(servicer, server)
    pair = (read("collector.test.key"), read("collector.test.pem"))
    credentials = grpc.ssl_server_credentials([pair], read("ca.pem"), True)
    server.add_secure_port(f"127.0.0.1:{port}", credentials)
    server.start()
    listening()
    threading.Event().wait()
