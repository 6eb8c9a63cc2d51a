"""Configuration tables of the plugins' pages, written from docs/schema."""

import json
import re

from . import DOCS

BEGIN = "<!-- fields: written by `make docs` from schema/{plugin}.json -->"
END = "<!-- end of the fields -->"
BLOCK = re.compile(r"<!-- fields: written by `make docs` from schema/([a-z-]+)\.json -->\n.*?"
                   + re.escape(END), re.S)


def pages():
    """The pages that have a table, with the text that they should have."""
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text()
        written = BLOCK.sub(lambda found: block(found[1]), text)
        if BLOCK.search(text):
            yield path, text, written


def block(plugin):
    """A plugin's tables between their markers."""
    schema = json.loads((DOCS / "schema" / f"{plugin}.json").read_text())
    body = "\n".join(Tables(schema).lines())
    return f"{BEGIN.format(plugin=plugin)}\n{body}\n{END}"


class Tables:
    """One table for each kind of object, the configuration itself first, each where it is first used."""

    def __init__(self, schema):
        self.definitions = schema.get("$defs", {})
        # Each kind of object once: its name, where it stands, what it is.
        self.queue = [(None, "", schema)]
        self.places = {}
        # Choices whose words have been explained.
        self.explained = set()

    def lines(self):
        """All tables."""
        done = 0
        while done < len(self.queue):
            _, place, schema = self.queue[done]
            done += 1
            if place:
                yield f"\n**`{place}`**: {one_line(schema.get('description', ''))}\n"
            yield "| field | type | default | meaning |"
            yield "| --- | --- | --- | --- |"
            for name, field in self.fields(schema):
                yield self.row(name, field, place, schema.get("required", ()))

    @staticmethod
    def fields(schema):
        """An object's fields, those that must be given and short ones first as they are written."""
        needed = schema.get("required", ())
        # schemars sorts by name; `mode` and what must be given are what one looks for first.
        order = {"name": 0, "mode": 1}
        return sorted(schema.get("properties", {}).items(),
                      key=lambda item: (order.get(item[0], 2 if item[0] in needed else 3), item[0]))

    def row(self, name, field, place, needed):
        """One field."""
        path = f"{place}.{name}" if place else name
        kind = self.kind(field, path)
        default = "**required**" if name in needed else self.default(field)
        text = one_line(field.get("description", "") + self.words(field))
        return "| " + " | ".join(cell(each) for each in (f"`{name}`", kind, default, text)) + " |"

    def default(self, field):
        """What holds where it is left out."""
        if field.get("$ref") == "#/$defs/Mode":
            return "`enforce`"
        if "default" not in field or field["default"] is None:
            return ""
        value = field["default"]
        # That of an object is written at its own fields.
        if value in ({}, []) or isinstance(value, dict):
            return ""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return f"`{json.dumps(value, ensure_ascii=False)}`" if not isinstance(value, str) else f"`{value}`"

    def resolve(self, schema):
        """What a reference means, with its name."""
        found = schema.get("$ref", "")
        if not found:
            return None, schema
        name = found.rsplit("/", 1)[1]
        return name, self.definitions[name]

    def kind(self, field, path):
        """The type in a word or two. Objects get a table of their own."""
        for word in ("anyOf", "oneOf"):
            if word in field:
                kinds = [self.kind(each, path) for each in field[word] if each.get("type") != "null"]
                return either(list(dict.fromkeys(kinds)))
        name, schema = self.resolve(field)
        if name is not None:
            return self.named(name, schema, path)
        if "const" in field:
            return f"`{field['const']}`"
        if "enum" in field:
            return ", ".join(f"`{each}`" for each in field["enum"] if each is not None)
        kinds = field.get("type", "any")
        kinds = [kinds] if isinstance(kinds, str) else [each for each in kinds if each != "null"]
        return " or ".join(self.plain(each, field, path) for each in kinds)

    def plain(self, kind, field, path):
        """A type of JSON itself."""
        if kind == "array":
            return f"list of {self.kind(field.get('items', {}), path + '[]')}"
        if kind == "object":
            more = field.get("additionalProperties")
            if field.get("properties"):
                inner = [f"`{each}`" for each in field["properties"]]
                return "object with " + ", ".join(inner)
            if isinstance(more, dict) and more:
                return f"object of {self.kind(more, path + '.*')}"
            return "object"
        return {"string": "text", "boolean": "yes or no", "integer": "integer"}.get(kind, kind)

    def named(self, name, schema, path):
        """A type that has a name."""
        if schema.get("properties") and schema.get("type") == "object":
            if name not in self.places:
                self.places[name] = path
                self.queue.append((name, path, schema))
            first = self.places[name]
            return "object" if first == path else f"as `{first}`"
        if name in ("Secret", "SecretText"):
            return "secret"
        return self.kind({key: value for key, value in schema.items() if key != "description"}, path)

    def words(self, field):
        """What the words of a choice mean, where each says so."""
        for each in (field, *field.get("anyOf", ()), field.get("items", {})):
            if not isinstance(each, dict):
                continue
            name, schema = self.resolve(each)
            choices = schema.get("oneOf", ())
            named = [(choice.get("const"), choice.get("description")) for choice in choices]
            said = any(f"`{word}`" in field.get("description", "") for word, _ in named)
            if choices and not said and name not in self.explained:
                self.explained.add(name)
                return "".join(f" `{word}`: {lower(text)}" for word, text in named if word and text)
        return ""


def either(kinds):
    """Several types, any of them."""
    return ", ".join(kinds) if len(kinds) > 2 else " or ".join(kinds)


def lower(text):
    """Of a sentence that follows a colon. A name keeps its capitals: `OpenAI`, `HMAC`, `Ed25519`."""
    first = text.split(" ", 1)[0]
    plain = first[1:].islower() or not first[1:]
    return text[:1].lower() + text[1:] if plain and "'" not in first else text


def one_line(text):
    """A doc comment as one line."""
    return " ".join(text.split())


def cell(text):
    """As it may stand in a table."""
    return text.replace("|", "\\|")
