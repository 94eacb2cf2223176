"""Tests of tools/counts.py, which finds the arguments that a docstring omits."""

import counts
import pytest


def told(first, *rest, scale=1.0):
    """Add numbers.

    Args:
        first, rest: The numbers.
    """


class Base:
    """A base.

    Args:
        rows: Number of rows.
    """

    def __init__(self, rows):
        self.rows = rows

    def read(self, place):
        """Read a row.

        Args:
            place: Number of the row.
        """


class Derived(Base):
    """A class that takes one more argument.

    Args:
        columns: Number of columns.
    """

    def __init__(self, rows, columns, name=""):
        super().__init__(rows)

    def read(self, place, backwards=False):
        pass

    def _hidden(self, anything):
        pass


class Record(dict):
    def update(self, *others):
        pass


@pytest.mark.parametrize(
    ("value", "missing"),
    [
        (told, {"told": {"scale"}}),
        (Base, {"Base": set(), "Base.read": set()}),
        (Derived, {"Derived": {"name"}, "Derived.read": {"backwards"}}),
        (Record, {}),
    ],
)
def test_arguments_that_no_docstring_names_are_found(value, missing, monkeypatch):
    monkeypatch.setattr(counts, "_is_ours", lambda cls: cls.__module__ == __name__)
    assert dict(counts._undocumented(value.__name__, value)) == missing


def test_the_protocol_of_tasks_documents_the_methods_of_a_task(monkeypatch):
    class Spelling:
        def encode(self, rows, tokenizer, backwards=False):
            pass

    monkeypatch.setattr(Spelling, "__module__", "hf_rnn.tasks.spelling")
    assert dict(counts._undocumented("Spelling", Spelling)) == {"Spelling.encode": {"backwards"}}


@pytest.mark.parametrize(("limit", "status"), [(0, 1), (1, None)])
def test_a_count_above_its_limit_fails_and_is_named(limit, status, monkeypatch, capsys):
    monkeypatch.setattr(counts, "KINDS", {"files": ("long files", lambda: iter(["a.py: 401 lines"]))})
    monkeypatch.setattr(counts, "LIMITS", {"files": limit})
    monkeypatch.setattr("sys.argv", ["counts.py", "--check"])
    if status:
        with pytest.raises(SystemExit, match=r"above the limits .* long files"):
            counts.main()
    else:
        counts.main()
    assert ("a.py: 401 lines" in capsys.readouterr().out) == bool(status)


def test_imports_from_a_layer_above_are_found(monkeypatch):
    assert not list(counts.upward_imports())
    monkeypatch.setattr(counts, "_layers", lambda: [["hf_rnn.utils"], ["hf_rnn.text"]])
    assert "hf_rnn.text.loading imports hf_rnn.utils.errors" in set(counts.upward_imports())
