"""What keeps the documents true: tables written from the schemas, links that lead somewhere, two
languages that say the same. Needs nothing but Python."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
