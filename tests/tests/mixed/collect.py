"""A FlowExportService of the gRPC project's own, which prints each flow as an IPFIX collector would.

Arguments: port, and a folder with certificates.
"""

import ipaddress
import json
import pathlib
import sys

from serving import messages, serve, services

port, folder = sys.argv[1], pathlib.Path(sys.argv[2])


def shown(flow):
    fields = {
        "protocolIdentifier": flow.transport.protocol_number,
        "sourceIPv4Address": str(ipaddress.ip_address(flow.ip.source)),
        "destinationIPv4Address": str(ipaddress.ip_address(flow.ip.destination)),
        "sourceTransportPort": flow.transport.source_port,
        "destinationTransportPort": flow.transport.destination_port,
        "packetDeltaCount": flow.stats.packet_delta_count,
        "octetDeltaCount": flow.stats.octet_delta_count,
        "reversePacketDeltaCount": flow.reverse_stats.packet_delta_count,
        "reverseOctetDeltaCount": flow.reverse_stats.octet_delta_count,
    }
    return json.dumps({"fields": fields})


class Service(services.FlowExportServiceServicer):
    def Export(self, requests, context):
        for request in requests:
            print("\n".join(map(shown, request.flows)), flush=True)
        return messages.ExportResponse()


serve(Service(), port, folder, lambda: print("listening", file=sys.stderr, flush=True))
