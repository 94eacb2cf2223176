"""The documentation site has a page for every public name and every key of a run."""

import docs_site
import pytest
import yaml
from support import ROOT

import hf_rnn
from hf_rnn.cli.main import command_names, main
from hf_rnn.training.run_config import run_parser


def test_the_reference_has_every_public_name():
    pages = "\n".join(docs_site.reference().values())
    for name in hf_rnn.__all__:
        if not name.startswith("__"):
            value = getattr(hf_rnn, name)
            assert f"::: {value.__module__}.{value.__qualname__}\n" in f"{pages}\n"


def test_the_configuration_has_every_key():
    page = docs_site.configuration()
    for action in run_parser()._actions:
        if "." in action.dest and not action.dest.endswith(".help"):
            assert f"| `{action.dest}` |" in page


@pytest.mark.parametrize("page", ["README.md", "docs/guides/classify.md"])
def test_links_lead_to_pages_or_to_the_repository(page):
    uri = docs_site.OF_ROOT.get(page, page.removeprefix("docs/"))

    class Page:
        file = type("File", (), {"src_uri": uri})

    config = type("Config", (), {"repo_url": "https://example.org/repo"})
    text = docs_site.on_page_markdown((ROOT / page).read_text(encoding="utf-8"), Page, config)
    assert "](../../src" not in text
    assert "](src/" not in text
    assert "https://example.org/repo/blob/main/src/hf_rnn/" in text
    assert "](docs/" not in text


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(file.relative_to(ROOT / "docs")) for file in (ROOT / "docs").rglob("*.md")}
    pages |= {*docs_site.OF_ROOT.values(), docs_site.CONFIGURATION, docs_site.COMMANDS}
    pages |= {f"reference/{package}.md" for package in docs_site.TITLES}
    assert {page for page in pages if f": {page}" not in text} == set()
    assert yaml.safe_load(text)["strict"]


def test_the_commands_have_their_help():
    page = docs_site.commands()
    for name in command_names():
        assert f"## hf-rnn {name}\n" in page
    assert "hf-rnn predict MODEL - < texts.txt" in page
    assert "hf-rnn train --help all" in page


def test_the_error_of_the_page_is_the_error_of_the_command(capsys, tmp_path):
    (tmp_path / "r.csv").write_text("text,label\na,b\nc,d\n")
    assert main(["train", str(tmp_path / "r.csv"), "--model.pooling", "avg", "--output_dir", str(tmp_path / "m")]) == 1
    page = (ROOT / "docs" / "guides" / "command_line.md").read_text(encoding="utf-8")
    assert f"```text\n{capsys.readouterr().err.strip()}\n```" in page


def test_equations_are_shown_without_a_script():
    shown = docs_site.on_page_content(r'<p>a</p><div class="arithmatex">\[h_t = \tanh(x &lt; 1)\]</div>')
    assert "<math" in shown
    assert "<msub><mi>h</mi><mi>t</mi></msub>" in shown
    assert "arithmatex" not in shown
