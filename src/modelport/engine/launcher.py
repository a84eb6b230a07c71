"""The entry of a worker in an old model's own environment: lock in, then become that environment's interpreter.

Started as ``python -P -m modelport.engine.launcher POLICY INTERPRETER SCRIPT FD``; POLICY is ``sandbox.Policy`` as JSON, or empty for
none. Landlock and the limits outlast the change of programs, and so does a filter that still allows it; the script itself puts
the last filter on, which takes programs away, before it imports a library or reads anything of the model.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from dataclasses import replace

from modelport.engine.kernel import die_with_parent
from modelport.engine.sandbox import OFF, Policy, enter, limit_memory
from modelport.engine.seccomp import without_execution

_INTERPRETER_SEGMENT = 3  # PT_INTERP
_ELF64 = b"\x7fELF\x02\x01"


def main() -> None:
    """Enter the sandbox as far as it goes here, and start the interpreter."""
    text, interpreter, script, descriptor = sys.argv[1:]
    die_with_parent()
    limit_memory()
    level, last = OFF, b""
    if text:
        policy = Policy.from_json(text)
        loader = program_loader(interpreter)
        level = enter(replace(policy, execute=(*policy.execute, *([loader] if loader else []))))
        last = without_execution() if level.has_seccomp else b""
    told = {"landlock": level.landlock, "seccomp": level.has_seccomp, "missing": level.missing}
    os.execv(interpreter, [interpreter, "-I", script, descriptor, json.dumps(told), last.hex()])  # noqa: S606  # the user named it


def program_loader(path: str) -> str:
    """Return the dynamic loader that a program names in its ELF header, which the kernel executes as well; "" for none.

    Raises: OSError if it cannot be read.
    """
    with open(path, "rb") as file:  # noqa: PTH123
        head = file.read(64)
        if not head.startswith(_ELF64):
            return ""
        start, size, count = *struct.unpack_from("<Q", head, 32), *struct.unpack_from("<HH", head, 54)
        for at in range(count):
            file.seek(start + at * size)
            kind, _flags, offset, _address, _physical, length = struct.unpack("<IIQQQQ", file.read(40))
            if kind == _INTERPRETER_SEGMENT:
                file.seek(offset)
                return file.read(length).rstrip(b"\0").decode()
    return ""


if __name__ == "__main__":
    main()
