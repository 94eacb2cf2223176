"""Tests that the mutants of `make mutants` match the code and do not depend on its layout."""

import ast

import pytest
from mutant import Mutant
from mutant_table import MUTANTS
from support import ROOT

PACKAGE = ROOT / "src" / "hf_rnn"

SOURCE = """
class Cell:
    def step(self, x):
        \"\"\"Return x + 1.\"\"\"
        # x + 1 is not x
        return self.add(
            x + 1,
            'left',
        )

    def back(self, x):
        return self.add(x - 1, "left")
"""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_mutant_has_its_place_and_its_tests(mutant):
    ast.parse(mutant.apply((PACKAGE / mutant.file).read_text(encoding="utf-8")))
    if mutant.tests != "conformance":
        file, *names = mutant.tests.split("::")
        assert (ROOT / file).exists()
        for name in names:
            assert f"\ndef {name.split('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


def test_a_mutant_is_found_whatever_the_layout_comments_and_quotes():
    broken = Mutant("a fault", "cell.py", 'self.add(x + 1, "left")', "self.add(x, 'left')", "tests").apply(SOURCE)
    assert "return self.add(x, 'left')\n" in broken
    assert "Return x + 1." in broken


def test_a_mutant_may_say_where_its_code_stands():
    anywhere = Mutant("a fault", "cell.py", "return self.add(", "return self.sub(", "tests")
    with pytest.raises(ValueError, match=r"finds its code 2 times in cell\.py, not once"):
        anywhere.apply(SOURCE)
    broken = Mutant("a fault", "cell.py", anywhere.old, anywhere.new, "tests", within="Cell.back").apply(SOURCE)
    assert broken == SOURCE.replace('return self.add(x - 1, "left")', 'return self.sub(x - 1, "left")')
    with pytest.raises(ValueError, match=r"0 definitions of .Cell\.forth., not one"):
        Mutant("a fault", "cell.py", "x", "y", "tests", within="Cell.forth").apply(SOURCE)
