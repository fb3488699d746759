"""Connects as an exporter would: ca.crt, tls.crt and tls.key are in the working directory."""

import socket
import ssl
import sys

port, server = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile="ca.crt")
context.load_cert_chain("tls.crt", "tls.key")
with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
    with context.wrap_socket(plain, server_hostname=server) as session:
        session.sendall(b"said again")
        said = b""
        while len(said) < 10:
            part = session.recv(10)
            if not part:
                sys.exit("the server ended the session")
            said += part
        assert said == b"said again", said
