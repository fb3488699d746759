"""A FlowExportService of the gRPC project's own. Prints what it receives as lines of JSON.

Arguments: port, a folder with certificates, and how many requests are taken before the stream is
refused (0 for all, -1 for a server without the service).
"""

import json
import pathlib
import sys

import grpc
from google.protobuf.json_format import MessageToDict

from serving import messages, serve, services

port, folder, limit = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])


def say(what):
    print(json.dumps(what), flush=True)


class Service(services.FlowExportServiceServicer):
    def Export(self, requests, context):
        names = context.auth_context()["x509_subject_alternative_name"]
        say({"opened": [name.decode() for name in names]})
        for number, request in enumerate(requests, 1):
            if number == limit:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "that is enough – for today")
            flows = [
                MessageToDict(flow, preserving_proto_field_name=True) for flow in request.flows
            ]
            say({"flows": flows, "bytes": request.ByteSize()})
        say({"closed": True})
        return messages.ExportResponse()


serve(Service() if limit >= 0 else None, port, folder, lambda: say({"listening": True}))
