"""Documents: tables are the schemas', links lead somewhere, both languages say the same."""

import json
import re

import pytest

from pages import DOCS, ROOT, links, tables, twins


@pytest.mark.parametrize("schema", sorted((DOCS / "schema").glob("*.json")), ids=lambda path: path.stem)
def test_every_plugin_has_a_page_with_its_fields(schema):
    # The bundle's sections are the plugins'.
    if schema.stem == "ai-gateway":
        return
    page = DOCS / f"{schema.stem}.md"
    assert page.exists(), f"docs/{page.name} is missing"
    assert tables.BEGIN.format(plugin=schema.stem) in page.read_text(), "no markers for its fields"


def test_tables_are_current():
    assert [path.name for path, before, after in tables.pages() if before != after] == [], \
        "run `make docs`"


def test_links_lead_somewhere():
    assert [each for path in links.documents() for each in links.broken(path)] == []


def test_what_a_document_names_in_the_repository_is_there():
    """`make` targets, in code and in prose."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = [(path.name, target) for path in links.documents()
             for target in re.findall(r"`make ([a-z0-9-]+)", path.read_text())]
    assert [each for each in named if each[1] not in targets] == []


def test_programs_that_a_document_runs_are_where_make_puts_them():
    makefile = (ROOT / "Makefile").read_text()
    built = {f"target/debug/{name}" for line in makefile.splitlines() if "cargo build" in line and "--profile" not in line
             for name in re.findall(r"--bin ([a-z-]+)", line)}
    named = [(path.name, program) for path in links.documents()
             for program in re.findall(r"\btarget/(?:debug|release|tools)/[a-z-]+", path.read_text())]
    assert named and [each for each in named if each[1] not in built] == []


@pytest.mark.parametrize("english", [path for path in links.documents()
                                     if path.with_name(f"{path.stem}.zh-CN.md").exists()],
                         ids=lambda path: str(path.relative_to(ROOT)))
def test_both_languages_say_the_same(english):
    first = twins.outline(english.read_text())
    second = twins.outline(english.with_name(f"{english.stem}.zh-CN.md").read_text())
    for what in first:
        assert first[what] == second[what], what


def members(schema, name):
    """The schemas that a field may lead to."""
    schema, found = [schema], []
    while schema:
        one = schema.pop()
        if "$ref" in one:
            schema.append({**WHOLE[name]["$defs"][one["$ref"].split("/")[-1]]})
        found.append(one)
        for several in ("anyOf", "oneOf", "allOf"):
            schema += one.get(several, [])
    return found


WHOLE = {path.stem: json.loads(path.read_text()) for path in (DOCS / "schema").glob("*.json")}


def missing(field):
    """What is not in the schema of a field `plugin.a.b[].c`; nothing if all of it is."""
    plugin, *parts = field.split(".")
    at = [WHOLE[plugin]]
    for part in parts:
        name = part.removesuffix("[]")
        at = [each for one in at for each in members(one, plugin)]
        at = [one["properties"][name] for one in at if name in one.get("properties", {})]
        if not at:
            return part
        if part.endswith("[]"):
            at = [one["items"] for each in at for one in members(each, plugin) if "items" in one]
    return None


def test_fields_that_the_page_on_migration_names_are_there():
    plugins = "|".join(name for name in WHOLE if name != "ai-gateway")
    rows = [line for line in (DOCS / "migration.md").read_text().splitlines() if line.startswith("| ")]
    fields = {field for row in rows for field in re.findall(rf"`((?:{plugins})\.[a-z_.\[\]]+)`", row)}
    assert len(fields) > 60
    assert {field: missing(field) for field in fields if missing(field)} == {}
    assert missing("ai-proxy.providers[].apikey") == "apikey"
