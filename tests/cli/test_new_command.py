"""Example of a new command, which needs only one file in `src/hf_rnn/cli/commands/`."""

import pytest

from hf_rnn.cli import commands
from hf_rnn.cli.main import main

# The content of `src/hf_rnn/cli/commands/count.py`, a command that counts the words of texts.
COUNT = '''
"""Count the words of texts.

    hf-rnn count "some text"
"""

from ...utils.errors import UserError
from ..options import CommandParser


def parser():
    parser = CommandParser()
    parser.add_argument("texts", nargs="+", type=str, help="texts")
    parser.add_argument("--least", type=int, default=0, help="shorter texts are left out")
    return parser


def check(options):
    if options.least < 0:
        raise UserError(f"--least {options.least} must be 0 or greater.")


def run(options):
    for text in options.texts:
        if len(text.split()) >= options.least:
            print(len(text.split()), text, sep="\\t")
'''


@pytest.fixture(autouse=True)
def _new_command(tmp_path, monkeypatch):
    (tmp_path / "count.py").write_text(COUNT)
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])


def test_it_runs(capsys):
    assert main(["count", "a b", "--least", "1", "", "c"]) == 0
    assert capsys.readouterr().out == "2\ta b\n1\tc\n"


def test_it_is_listed_and_has_help(capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert "count               Count the words of texts." in listed
    assert '  hf-rnn count "some text"' in listed
    assert main(["count", "--help"]) == 0
    assert "shorter texts are left out" in capsys.readouterr().out


def test_its_mistakes_are_told(capsys):
    assert main(["count", "a", "--least", "-1"]) == 1
    assert capsys.readouterr().err == "hf-rnn count: --least -1 must be 0 or greater.\n"
    assert main(["count", "a", "--lest", "1"]) == 1
    assert (
        "there is no key 'lest': did you mean 'least'? (hf-rnn count --help lists the options)"
        in capsys.readouterr().err
    )
    assert main(["cuont", "a"]) == 2
    assert "did you mean count?" in capsys.readouterr().err
