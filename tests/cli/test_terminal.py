import io
from contextlib import redirect_stdout

import pytest

from hf_rnn.cli.terminal import print_coloured, print_metrics


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal()


def test_a_file_gets_no_escape_codes(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    print_metrics({"accuracy": 0.75, "f1/a": 0.5, "f1/[b]": 1.0, "support/a": 3, "support/[b]": 4})
    print_coloured("\x1b[1mtext\x1b[0m")
    assert capsys.readouterr().out == "           f1  support\n  a    0.5000        3\n  [b]  1.0000        4\n"


def test_a_terminal_gets_a_table_and_colours(terminal):
    with redirect_stdout(terminal):
        print_metrics({"f1/a": 0.5, "f1/[b]": 1.0})
        print_coloured("\x1b[48;2;21;101;192mtext\x1b[0m")
    assert "[b]" in terminal.getvalue()
    assert "\x1b[48;5;" in terminal.getvalue()


def test_no_color_is_obeyed(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    with redirect_stdout(terminal):
        print_coloured("\x1b[48;2;21;101;192mtext\x1b[0m")
    assert terminal.getvalue() == ""
