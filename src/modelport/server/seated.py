"""``python -m modelport.server.seated FD``: a front process under a supervisor, from its start to its end.

It loads from the supervisor's copy of the files, answers on the shared port, and ends at once when the supervisor is gone.
"""

from __future__ import annotations

import socket
import sys

from modelport.engine.kernel import die_with_parent
from modelport.server.single import import_libraries


def main(fd: int) -> int:
    """Serve as the supervisor at the other end of ``fd`` orders; return the exit code."""
    die_with_parent()
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)  # a worker that had it would keep the supervisor from seeing this process end
    import_libraries()
    from modelport.server.channel import receive_order
    from modelport.server.link import sit

    order = receive_order(sock)
    return 1 if order is None else sit(order, sock)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
