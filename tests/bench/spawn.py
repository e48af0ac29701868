"""Run one command and print what it took, as JSON. A program of its own: a child's peak memory begins with that of the
process that started it, so that process must be small.
"""

import json
import os
import sys
import time


def main(log: str, *command: str) -> None:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, out, 1),
        (os.POSIX_SPAWN_DUP2, out, 2),
    ]
    began = time.monotonic()
    pid = os.posix_spawnp(command[0], list(command), os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    took = time.monotonic() - began
    code = os.waitstatus_to_exitcode(status)
    print(json.dumps([code, took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))


main(*sys.argv[1:])
