"""Try small models with other programs and report what works: `make works-with`.

python tools/works_with.py [--write]

Each row comes from a test in `tests/clients`. With `--write`, the table is written into docs/works_with.md.
"""

import argparse
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))


class Rows:
    """Pytest plugin that collects the outcomes of tests, one row per test function."""

    def __init__(self) -> None:
        self.found: dict[str, dict] = {}

    def pytest_collection_modifyitems(self, items) -> None:
        """Create the row of each test function from its marker and docstring."""
        for item in items:
            marker = item.get_closest_marker("works_with")
            use = item.function.__doc__.strip()
            row = {
                "program": marker.args[0],
                "use": use,
                "change": marker.kwargs.get("change"),
                "wrong": [],
                "right": 0,
            }
            self.found.setdefault(item.nodeid.split("[")[0], row)

    def pytest_runtest_logreport(self, report) -> None:
        """Add the outcome of a test to its row."""
        row = self.found[report.nodeid.split("[")[0]]
        row["right"] += report.passed and report.when == "call"
        if report.skipped:
            row["skipped"] = report.longrepr[2].removeprefix("Skipped: ")
        if report.failed:
            row["wrong"].append(str(report.longrepr).strip().splitlines()[-1])

    def pytest_collectreport(self, report) -> None:
        """Print why a module was skipped."""
        if report.skipped:
            print(f"{report.nodeid}: {report.longrepr[2].removeprefix('Skipped: ')}")

    def cells(self) -> list[list[str]]:
        """Return program, use and result of each row."""
        rows = []
        for row in sorted(self.found.values(), key=lambda row: row["program"]):
            try:
                program = f"{row['program']} {version(row['program'])}"
            except PackageNotFoundError:
                program = row["program"]
            if row["wrong"]:
                result = f"fails: {row['wrong'][0]}"
            elif not row["right"]:
                result = f"not tried: {row['skipped']}"
            elif row["use"].partition(": ")[2].startswith("refused"):
                result = "refused" + (f"; {row['change']}" if row["change"] else "")
            else:
                result = f"works with a change: {row['change']}" if row["change"] else "works"
            rows.append([program, row["use"].partition(": refused")[0], result])
        return [[cell.replace("|", "\\|") for cell in row] for row in rows]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table into docs/works_with.md")
    options = parser.parse_args()
    rows = Rows()
    pytest.main(["-q", "--no-header", "--tb=short", str(ROOT / "tests" / "clients")], plugins=[rows])
    # This imports modules that pytest has to import first.
    import proofs

    table = proofs.table(["program", "use", "result"], rows.cells())
    print(table)
    if options.write:
        proofs.write("works with", table, file=ROOT / "docs" / "works_with.md")
    return 1 if any(row["wrong"] for row in rows.found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
