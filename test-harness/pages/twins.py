"""Whether two languages of a document say the same: as many headings of each level in the same order,
the same code but for its words, the same links, as many rows in each table."""

import re

FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.S | re.M)


def outline(text):
    """What must be the same in both languages."""
    prose = FENCE.sub("", text)
    return {
        "headings": [len(match) for match in re.findall(r"^(#+) ", prose, re.M)],
        "code": [code(block) for block in FENCE.findall(text)],
        "tables": [len(re.findall(r"^\|", table, re.M))
                   for table in re.findall(r"(?:^\|[^\n]*\n)+", prose, re.M)],
        "links": [target for target in re.findall(r"\]\(([^)\s]+)\)", prose)
                  if not target.startswith("README") and not target.startswith("#")],
        "lists": len(re.findall(r"^- ", prose, re.M)),
    }


def code(block):
    """Code without what is translated: comments, drawings, and words that stand beside a name."""
    if re.search("[\u2500-\u257f]", block):
        return "drawing"
    lines = (re.sub(r"(^| +)#.*$", "", line) for line in block.splitlines())
    return [re.sub(r"^(\S+) {2,}.*$", r"\1", line).rstrip() for line in lines]
