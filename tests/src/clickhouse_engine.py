"""ClickHouse's HTTP interface, for tests, in front of the engine that PyPI's chdb-core has.

    python clickhouse_engine.py DIRECTORY PORT [USER PASSWORD [CERTIFICATE KEY]]

Prints "ready" once it answers on 127.0.0.1. Understood: statements by POST, in the body or as
`?query=`; `?database=`, settings and `param_` by URL or as a form; data of inserts in any format,
as `Native` blocks compressed by ClickHouse's own frames (LZ4) with `?decompress=1`; users by header,
URL or Basic. Errors have ClickHouse's codes, status and text. Statements run one after the other.

There are two clusters, in whose name this engine can spread a table: `alone`, which is this server,
and `half`, which has a second one, where nobody answers. The macro `cluster` is the first.

What a test asks for beside, without a password:

    POST /_fault    {"match": TEXT, "times": N, and what happens to the next N statements that
                    contain TEXT: "code": C (an exception), "delay_ms": D, "cut_after": BYTES (the
                    connection is reset after so many bytes of the body), "no_answer": true (it is
                    run, and the connection reset), "hold": true (it waits until /_release)}
    POST /_release  lets go of what is held
    POST /_heal     forgets all faults
    POST /_password {"user": U, "password": P}
    GET /_stats     {"statements", "refused", "faults", "held", "inserts": [{"rows", "bytes",
                    "token", "settings", "query"}]}
"""

import base64
import email.parser
import email.policy
import json
import os
import re
import signal
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chdb import session

NAMES = {
    60: "UNKNOWN_TABLE", 62: "SYNTAX_ERROR", 81: "UNKNOWN_DATABASE", 115: "UNKNOWN_SETTING",
    159: "TIMEOUT_EXCEEDED", 164: "READONLY", 202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    210: "NETWORK_ERROR", 241: "MEMORY_LIMIT_EXCEEDED", 242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE", 252: "TOO_MANY_PARTS", 319: "UNKNOWN_STATUS_OF_INSERT",
    497: "ACCESS_DENIED", 516: "AUTHENTICATION_FAILED", 999: "KEEPER_EXCEPTION",
}
STATUS = {60: 404, 81: 404, 62: 400, 115: 400, 193: 401, 497: 403, 516: 403}
# What the URL says that is no setting.
NO_SETTINGS = {
    "query", "database", "user", "password", "default_format", "query_id", "session_id",
    "compress", "decompress", "role", "wait_end_of_query", "client_protocol_version",
    "enable_http_compression",
}
INSERT = re.compile(r"^\s*INSERT\s", re.I)
READING = re.compile(r"^\s*(SELECT|WITH|SHOW|DESCRIBE|EXISTS)\s", re.I)
FORMAT = re.compile(r"\sFORMAT\s+(\w+)\s*;?\s*$", re.I)

SHARD = "<shard><replica><host>127.0.0.1</host><port>{}</port></replica></shard>"
# Nothing listens at either port: a server does not ask for what it has itself, by its own port.
HERE, NOWHERE = SHARD.format(9), SHARD.format(1)
CONFIG = f"""<clickhouse>
    <tcp_port>9</tcp_port>
    <macros><cluster>alone</cluster></macros>
    <remote_servers><alone>{HERE}</alone><half>{HERE}{NOWHERE}</half></remote_servers>
</clickhouse>
"""

directory = sys.argv[1]
config = directory + ".xml"
with open(config, "w") as file:
    file.write(CONFIG)
who = dict(zip(("user", "password"), sys.argv[3:5])) or {"user": "default", "password": ""}
engine = session.Session(f"file:{directory}?config-file={config}")
one_at_a_time = threading.Lock()
version = engine.query("SELECT version()", "TSV").bytes().decode().strip()
state = threading.Condition()
faults = []
stats = {"statements": 0, "refused": 0, "faults": 0, "held": 0, "inserts": []}


class Refusal(Exception):
    def __init__(self, code, text):
        self.code, self.text = code, text


class Reset(Exception):
    pass


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def run(sql, form, database, settings, params):
    names = []
    # A session that is read-only stays so.
    if settings.pop("readonly", "0") != "0" and not READING.match(sql):
        raise Refusal(164, "Cannot execute query in readonly mode")
    try:
        if database:
            engine.query("USE `" + database.replace("`", "\\`") + "`", "TSV")
        for name, value in settings.items():
            if not re.fullmatch(r"\w+", name):
                raise Refusal(115, "Unknown setting")
            engine.query(f"SET {name} = {quoted(value)}", "TSV")
            names.append(name)
        return engine.query(sql, form, params=params or None)
    except Refusal:
        raise
    except Exception as error:
        found = re.search(r"Code: (\d+)\. (.*)", str(error), re.S)
        raise Refusal(int(found[1]), found[2]) if found else Refusal(1002, str(error))
    finally:
        for name in names:
            engine.query(f"SET {name} = DEFAULT", "TSV")


def frame_of(data):
    """ClickHouse's compressed blocks as one frame of LZ4, which files may have."""
    frame, at = [bytes.fromhex("04224d18607073")], 0
    while at < len(data):
        if len(data) - at < 25:
            raise Refusal(271, "Cannot decompress: it is cut off")
        method, size, _ = struct.unpack_from("<BII", data, at + 16)
        block = data[at + 25:at + 16 + size]
        if method != 0x82 or len(block) != size - 9:
            raise Refusal(271, "Cannot decompress")
        frame += [struct.pack("<I", len(block)), block]
        at += 16 + size
    return b"".join(frame + [struct.pack("<I", 0)])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def log_message(self, *_):
        pass

    def body(self, limit=None):
        """All of it, or as much as `limit` allows before the connection is reset."""
        parts, size = [], 0

        def add(part):
            nonlocal size
            size += len(part)
            if limit is not None and size >= limit:
                raise Reset
            parts.append(part)

        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while length := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                chunk = self.rfile.read(length)
                if len(chunk) < length:
                    raise Reset
                add(chunk)
                self.rfile.readline()
            self.rfile.readline()
        else:
            add(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        return b"".join(parts)

    def answer(self, status, data, headers=()):
        self.send_response(status)
        for name, value in (("Content-Length", len(data)), *headers):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def refuse(self, refusal):
        with state:
            stats["refused"] += 1
        name = NAMES.get(refusal.code)
        told = refusal.text if refusal.text.startswith("DB::") else f"DB::Exception: {refusal.text}"
        told = told.strip() if not name or f"({name})" in told else f"{told.strip()} ({name})"
        text = f"Code: {refusal.code}. {told} (version {version} (official build))\n"
        headers = [("X-ClickHouse-Exception-Code", refusal.code)]
        self.answer(STATUS.get(refusal.code, 500), text.encode(), headers)

    def reset(self):
        """The other end sees its connection reset."""
        self.close_connection = True
        raw = self.connection
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket.close(raw)

    def handle_one(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        try:
            if url.path == "/ping":
                return self.answer(200, b"Ok.\n")
            if url.path.startswith("/_"):
                return self.control(url.path, self.body())
            fault = self.fault(query.get("query", ""))
            data = self.body(fault.get("cut_after"))
            if not fault and "query" not in query:
                fault = self.fault(data[:4096].decode(errors="replace"))
            self.authenticate(query)
            answer = self.statement(query, data, fault)
            if fault.get("no_answer"):
                raise Reset
            self.answer(200, answer, [("X-ClickHouse-Format", query.get("default_format", "TSV"))])
        except Refusal as refusal:
            self.refuse(refusal)
        except (Reset, ConnectionError):
            self.reset()

    do_GET = do_POST = handle_one

    def control(self, path, data):
        with state:
            if path == "/_fault":
                faults.append(json.loads(data))
            elif path == "/_heal":
                faults.clear()
            elif path == "/_release":
                for fault in faults:
                    fault["hold"] = False
                state.notify_all()
            elif path == "/_password":
                who.update(json.loads(data))
            self.answer(200, json.dumps(stats).encode())

    def fault(self, statement):
        with state:
            for fault in faults:
                if fault.get("times", 1) > 0 and fault.get("match", "").lower() in statement.lower():
                    fault["times"] = fault.get("times", 1) - 1
                    stats["faults"] += 1
                    return fault
        return {}

    def suffer(self, fault):
        time.sleep(fault.get("delay_ms", 0) / 1000)
        with state:
            if fault.get("hold"):
                stats["held"] += 1
                state.wait_for(lambda: not fault["hold"])
                stats["held"] -= 1
        if "code" in fault:
            raise Refusal(fault["code"], "a fault that the test has asked for")

    def authenticate(self, query):
        user, password = query.get("user"), query.get("password")
        told = self.headers.get("Authorization", "")
        if told.startswith("Basic "):
            user, _, password = base64.b64decode(told[6:]).decode().partition(":")
        user = self.headers.get("X-ClickHouse-User", user) or "default"
        password = self.headers.get("X-ClickHouse-Key", password) or ""
        if (user, password) != (who["user"], who["password"]):
            raise Refusal(516, f"{user}: Authentication failed: password is incorrect, or there is "
                               "no user with such name.")

    def statement(self, query, data, fault):
        params = {name[6:]: value for name, value in query.items() if name.startswith("param_")}
        kind = self.headers.get("Content-Type") or ""
        if kind.startswith("multipart/form-data"):
            head = f"Content-Type: {kind}\r\n\r\n".encode()
            form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + data)
            data = b""
            for part in form.iter_parts():
                name = part.get_param("name", header="content-disposition")
                value = part.get_payload(decode=True)
                if name == "query":
                    data = value
                elif name.startswith("param_"):
                    params[name[6:]] = value.decode()
        no_setting = lambda name: name in NO_SETTINGS or name.startswith("param_")
        settings = {name: value for name, value in query.items() if not no_setting(name)}
        database, sql = query.get("database"), query.get("query", "")
        if INSERT.match(sql) and data:
            return self.insert(sql, data, query, database, settings, fault)
        sql = f"{sql}\n{data.decode()}".strip()
        if not sql:
            raise Refusal(62, "Empty query")
        self.suffer(fault)
        form = query.get("default_format", "TabSeparated")
        with one_at_a_time:
            result = run(sql, form, database, settings, params)
        with state:
            stats["statements"] += 1
        return result.bytes() if result is not None else b""

    def insert(self, sql, data, query, database, settings, fault):
        form = FORMAT.search(sql)
        if not form:
            raise Refusal(62, "an insert of data needs its FORMAT")
        compressed = query.get("decompress") == "1"
        size, data = len(data), frame_of(data) if compressed else data
        told = dict(settings)
        self.suffer(fault)
        with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
            file.write(data)
            file.flush()
            by = f"COMPRESSION '{'lz4' if compressed else 'none'}'"
            whole = f"{sql[:form.start()]} FROM INFILE {quoted(file.name)} {by} FORMAT {form[1]}"
            with one_at_a_time:
                result = run(whole, "TSV", database, settings, None)
        token = settings.get("insert_deduplication_token", "")
        seen = {"rows": result.rows_read(), "bytes": size, "token": token, "settings": told,
                "query": sql}
        with state:
            stats["inserts"].append(seen)
        return b""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def handle_error(self, *_):
        """Clients that go away are what tests are about."""


def main():
    server = Server(("127.0.0.1", int(sys.argv[2])), Handler)
    if len(sys.argv) > 6:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[5], sys.argv[6])
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False)
    stop = lambda *_: threading.Thread(target=server.shutdown, daemon=True).start()
    signal.signal(signal.SIGTERM, stop)
    print("ready", flush=True)
    server.serve_forever(0.05)
    with one_at_a_time:
        engine.close()


if not os.path.isdir("/dev/shm"):
    tempfile.tempdir = directory
main()
