"""Sends two records with PyPI's `ipfix` to the port given, over TCP, or over TLS with the files given:
the CA, a certificate and its key."""

import datetime
import ipaddress
import socket
import ssl
import sys

import ipfix.ie
import ipfix.template
import ipfix.writer

ipfix.ie.use_iana_default()
ipfix.ie.use_5103_default()
ipfix.ie.for_spec("sourcePodName(56506/101)<string>[65535]")
names = ("flowStartMilliseconds", "sourceIPv4Address", "destinationIPv4Address", "sourceTransportPort",
         "octetDeltaCount[4]", "reverseOctetDeltaCount", "sourcePodName")
template = ipfix.template.from_ielist(300, ipfix.ie.spec_list(names))



def connected():
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    if len(sys.argv) == 2:
        return connection
    authority, certificate, key = sys.argv[2:]
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    return context.wrap_socket(connection, server_hostname="localhost")


with connected() as connection:
    stream = connection.makefile("wb")
    writer = ipfix.writer.to_stream(stream, mtu=1400)
    writer.set_domain(42)
    writer.add_template(template)
    writer.set_export_template(300)
    for number, name in ((1, "web-0"), (2, "ä" * 150)):
        writer.export_namedict({
            "flowStartMilliseconds": datetime.datetime(2023, 11, 14, 22, 13, 20, 123000),
            "sourceIPv4Address": ipaddress.ip_address(f"10.10.0.{number}"),
            "destinationIPv4Address": ipaddress.ip_address("10.10.1.2"),
            "sourceTransportPort": 40000 + number,
            "octetDeltaCount": 1000 * number,
            "reverseOctetDeltaCount": 2**40 + number,
            "sourcePodName": name,
        })
    writer.flush()
    stream.flush()
