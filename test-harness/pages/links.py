"""Where the documents' links lead: files and headings of this repository. Addresses on the web are not
asked for, so that a test does not depend on others' servers."""

import re
from functools import cache
from urllib.parse import unquote

from . import ROOT

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^(```|~~~).*?^\1", re.S | re.M)
SKIPPED = {"target", "dist", ".run", "node_modules"}


def documents():
    """All Markdown files that are ours."""
    for path in sorted(ROOT.rglob("*.md")):
        if not SKIPPED & set(path.relative_to(ROOT).parts):
            yield path


def broken(path):
    """Links of a document that lead nowhere."""
    text = re.sub(r"`[^`\n]*`", "", CODE.sub("", path.read_text()))
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / unquote(name)).resolve() if name else path
        if not file.exists():
            yield f"{path.relative_to(ROOT)}: {target}: there is no such file"
        elif anchor and file.suffix == ".md" and unquote(anchor) not in anchors(file):
            yield f"{path.relative_to(ROOT)}: {target}: there is no such heading"


@cache
def anchors(path):
    """The anchors of a document's headings, made as GitHub makes them."""
    found, seen = set(), {}
    for line in CODE.sub("", path.read_text()).splitlines():
        if match := re.match(r"#{1,6} +(.*?) *#*$", line):
            slug = re.sub(r"[^\w\- ]", "", match[1].lower()).replace(" ", "-")
            count = seen.get(slug, 0)
            seen[slug] = count + 1
            found.add(f"{slug}-{count}" if count else slug)
    return found
