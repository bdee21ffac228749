"""The documentation: what it names exists, what it shows works, and its links lead somewhere."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

import evidence
from evidence import cli, strict_yaml
from evidence.data_model import SHOWN_STRENGTHS, Doi, Work
from evidence.errors import EvidenceError
from evidence.export import atomic_output  # noqa: F401 (errors with exit codes of their own)
from evidence.harvest import sources
from evidence.rules import taxonomy, taxonomy_file, topic, topic_file
from evidence.rules.mention_roles import ROLES, About, TextKind
from evidence.rules.rule_matches import RuleMatches, WorkTexts
from evidence.rules.tag import tag

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "evidence").rglob("*.md")])
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
NAMED = re.compile(r"`((?:evidence|datasette|tests|scripts|benchmarks|docs)(?:/[\w.-]+)+/?)`")


def text(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its code blocks and comments."""
    without = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.S)
    return re.sub(r"^```.*?^```", "", without, flags=re.S | re.M)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def keys(page: str, head: str) -> set[str]:
    """The first column of the tables of a page in docs/ that begin with this column's head."""
    found: set[str] = set()
    for block in text("docs", page).split("\n\n"):
        if block.startswith(f"| {head} |"):
            found |= set(re.findall(r"^\| `(\w+)` \|", block, flags=re.M))
    return found


def fields(module: ModuleType, *having: str) -> set[str]:
    """The keys of the module's models that have one of the keys `having` (all models, if none is given)."""
    models = [m for _, m in inspect.getmembers(module, inspect.isclass) if issubclass(m, BaseModel)]
    wanted = [
        m for m in models if m.__module__ == module.__name__ and (not having or set(having) & m.model_fields.keys())
    ]
    return {field.alias or name for model in wanted for name, field in model.model_fields.items()}


def test_the_readme_is_short() -> None:
    assert len(text("README.md").splitlines()) <= 200


def test_every_dependency_says_why_it_is_here() -> None:
    table = text("README.md").partition("## Dependencies")[2].partition("\n## ")[0]
    explained = {name.lower() for name in re.findall(r"^\| \[([\w-]+)\]", table, flags=re.M)}
    assert explained == {re.split(r"[^\w-]", needed)[0].lower() for needed in PYPROJECT["project"]["dependencies"]}


def test_every_exit_code_is_in_one_table() -> None:
    def classes(error: type[EvidenceError]) -> Iterator[type[EvidenceError]]:
        yield error
        for below in error.__subclasses__():
            yield from classes(below)

    raised = {error.exit_code for error in classes(EvidenceError)} | {0, cli.NOTHING_NEW, 130}
    section = text("docs", "cli.md").partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, flags=re.M)} == raised
    assert 141 in raised, "the error of a closed pipe is known"


def test_every_key_of_sources_is_explained() -> None:
    assert keys("sources.md", "key") == fields(sources)


def test_every_key_of_a_topic_is_explained() -> None:
    assert keys("topics.md", "key of a topic") == fields(topic_file, "about")
    assert keys("topics.md", "key of a facet of a topic") == fields(topic_file, "holds")


def test_every_key_of_a_rule_is_explained() -> None:
    assert keys("rules.md", "key of a rule") == fields(taxonomy_file, "because")
    assert keys("rules.md", "key of a value") | {"rules"} == fields(taxonomy_file, "counterexamples")
    assert keys("rules.md", "key of a facet") == fields(taxonomy_file, "about")


def test_every_role_and_kind_of_words_is_explained() -> None:
    page = text("docs", "rules.md")
    assert keys("rules.md", "`about`") - {"about"} == set(get_args(About))
    assert [role for role in ROLES if role not in page.replace("\n   ", " ")] == []
    assert [kind for kind in get_args(TextKind) if f"`{kind}`" not in page] == []


def test_every_file_of_the_taxonomy_is_explained() -> None:
    files = {path.name for path in (ROOT / "evidence" / "topics" / "ipt").glob("*.yaml")} - {topic.FILE}
    assert files == set(re.findall(r"^\| `(\w+\.yaml)` \|", text("docs", "rules.md"), flags=re.M))


def test_the_example_of_sources_is_accepted() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", text("docs", "sources.md"), flags=re.S | re.M)
    checked = sources.check(strict_yaml.parse(example, "docs/sources.md"))
    assert (len(checked.sources), len(checked.known), len(checked.articles)) == (3, 1, 1)


def examples_of_rules() -> list[str]:
    """The YAML that docs/rules.md shows, a block each: screening, then the words of a value."""
    blocks = re.findall(r"^( *)```yaml\n(.*?)^ *```", text("docs", "rules.md"), flags=re.S | re.M)
    return [textwrap.dedent(block) for _, block in blocks]


def test_the_example_of_screening_does_what_it_says(tmp_path: Path) -> None:
    """Its rules are added to those of the verdict with its id."""
    (value,) = yaml.safe_load(examples_of_rules()[0])["values"]
    folder = Path(shutil.copytree(topic.load().folder, tmp_path / "ipt"))
    path = folder / topic.SCREEN_FILE
    screening = yaml.safe_load(path.read_text(encoding="utf-8"))
    verdict = next(other for other in screening["values"] if other["id"] == value["id"])
    verdict["rules"] += value["rules"]
    path.write_text(yaml.safe_dump(screening, allow_unicode=True), encoding="utf-8")
    book = taxonomy.load(folder)
    (rule,) = value["rules"]

    def applies(title: str) -> bool:
        found = RuleMatches(WorkTexts(Work(doi=Doi("10.1000/example"), title=title)), book.screening)
        return rule["id"] in {applied.id for applied, _ in found.rules_for((taxonomy.SCREEN, value["id"]))}

    assert all(map(applies, value["examples"]))
    assert not any(map(applies, value["counterexamples"]))


def test_the_example_of_words_does_what_it_says(tmp_path: Path) -> None:
    """The block is pasted at the end of outcome.yaml, as the page tells."""
    folder = Path(shutil.copytree(topic.load().folder, tmp_path / "ipt"))
    path = folder / "outcome.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "\n" + textwrap.indent(examples_of_rules()[1], "  "), "utf-8")
    book = taxonomy.load(folder)
    facet = book.facet("outcome")
    assert facet is not None
    value = facet.values[-1]
    assert isinstance(value, taxonomy.Value) and value.id == "self-compassion"

    def strengths(title: str) -> set[str]:
        tags = tag(Work(doi=Doi("10.1000/example"), title=title), book)
        return {found.strength for found in tags if (found.facet, found.value) == ("outcome", value.id)}

    assert all(map(strengths, value.examples))
    assert not any(strengths(title) & set(SHOWN_STRENGTHS) for title in value.counterexamples)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    missing = [name for name in NAMED.findall(page.read_text(encoding="utf-8")) if not (ROOT / name).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_module_is_on_the_page_of_the_architecture() -> None:
    page = text("docs", "architecture.md")
    modules = [str(path.relative_to(ROOT)) for path in (ROOT / "evidence").rglob("*.py") if path.name != "__init__.py"]
    assert [name for name in modules if f"`{name}`" not in page] == []


@pytest.mark.slow
def test_the_docs_build_as_a_site(tmp_path: Path) -> None:
    """Warnings are errors: a page that no list has, a link or an anchor that leads nowhere, a table that is none."""
    missing = [name for name in ("sphinx", "myst_parser", "furo") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed here; `pip install -e .[docs]` has them")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(tmp_path / "site")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= {path.stem for path in tmp_path.rglob("*.html")}


def test_the_workflows_test_what_the_project_promises() -> None:
    jobs = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"] for path in WORKFLOWS}
    assert set(jobs) >= {"test", "docs", "release"}
    matrix = jobs["test"]["test"]["strategy"]["matrix"]
    classifiers = [c.rpartition(" ")[2] for c in PYPROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert set(classifiers) <= set(matrix["python"])
    least = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    assert {"python": least, "resolution": "lowest-direct"} in matrix["include"]


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load(text("CITATION.cff"))
    deposited = json.loads(text(".zenodo.json"))
    assert (cited["version"], cited["license"]) == (evidence.__version__, PYPROJECT["project"]["license"])
    assert (deposited["title"], deposited["license"]) == (cited["title"], cited["license"])
    assert [creator["name"] for creator in deposited["creators"]] == [author["name"] for author in cited["authors"]]
