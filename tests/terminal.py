"""A pseudo-terminal: a program runs on it, and what it would leave on the screen is read."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()][AB0]|[=>78])")
LIMIT_SECONDS = 120.0


class Terminal:
    """Runs a program with the terminal as its controlling one; its size is 30 lines of `columns`."""

    def __init__(self, words: list[str], environment: dict[str, str], cwd: str, columns: int = 100) -> None:
        self.text = ""
        self._read_until = 0
        self._until = time.monotonic() + LIMIT_SECONDS
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(words[0], words, {**environment, "TERM": "xterm-256color"})
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))

    def wait_for(self, word: str) -> None:
        """Read until `word` is printed, after what was waited for before."""
        while word not in self.text[self._read_until :]:
            assert self._read(), f"the program ended without {word!r}: {self.text[-500:]!r}"
        self._read_until = self.text.index(word, self._read_until) + len(word)

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)

    def hang_up(self) -> int:
        """Close the terminal, as its window is closed; the exit code."""
        os.close(self._fd)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bool:
        """Take what comes next; False when nobody has the terminal open any more."""
        ready = select.select([self._fd], [], [], max(0.0, self._until - time.monotonic()))[0]
        if not ready:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise AssertionError(f"nothing came after: {self.text[-500:]!r}")
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # the other end was closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def screen(self) -> list[str]:
        """The lines that are there at the end: erased and overwritten ones are not."""
        lines, row, column = [""], 0, 0
        position = 0
        while position < len(self.text):
            escape = ESCAPE.match(self.text, position)
            if escape:
                row, column = _move(escape[0], lines, row, column)
                position = escape.end()
                continue
            char = self.text[position]
            position += 1
            if char == "\r":
                column = 0
            elif char == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            else:
                line = lines[row].ljust(column)
                lines[row] = line[:column] + char + line[column + 1 :]
                column += 1
        return [line.rstrip() for line in lines]


def _move(escape: str, lines: list[str], row: int, column: int) -> tuple[int, int]:
    """What the escape sequences that progress displays use do to the screen."""
    count = int(escape[2:-1]) if escape[2:-1].isdigit() else 1
    match escape[-1]:
        case "A":
            row = max(0, row - count)
        case "K":
            lines[row] = "" if count == 2 else lines[row][:column]
        case "J":
            del lines[row + 1 :]
            lines[row] = lines[row][:column]
    return row, column
