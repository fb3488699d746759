"""moto's server on the port that is given, for as long as standard input is open."""

import os
import sys
import threading

from moto.server import main


def watch():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=watch, daemon=True).start()
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
