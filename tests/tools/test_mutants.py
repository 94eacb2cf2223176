"""The breaks that `make mutants` tries follow the code."""

import pytest
from mutant_table import MUTANTS
from support import ROOT

PACKAGE = ROOT / "src" / "hf_rnn"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_break_has_its_place(mutant):
    assert (PACKAGE / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    assert mutant.tests == "conformance" or (PACKAGE.parents[1] / mutant.tests).exists()
