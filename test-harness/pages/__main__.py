"""`python -m pages`: what `make docs` runs."""

from . import tables


def main():
    """Writes the tables of all pages anew."""
    for path, before, after in tables.pages():
        if before != after:
            path.write_text(after)
            print(f"{path.name}: written")


main()
