"""What is asked: a base case, and one axis changed at a time."""

from dataclasses import dataclass, field
from pathlib import Path

from . import bodies, variants

KB = 1024
# Microseconds that the provider thinks about an answer; on average, or clients would ask all at once. Models take
# far longer, but 16 clients would then ask too seldom to be measured.
THINKS = 6000
# Microseconds between two tokens of a stream: each comes by itself, as from a real provider.
GAP = 2000


@dataclass
class Case:
    """Requests that are sent again and again."""

    name: str
    body: Path
    requests: int
    connections: int = 16
    thinks: int = THINKS
    tokens: int = 0
    begins: int = 0
    only: tuple = ()
    headers: dict = field(default_factory=dict)

    def wants(self, variant):
        """Whether a variant takes part."""
        return not self.only or variant in self.only


def cases(directory, quick):
    """The base case first. Bodies are written to the directory."""
    def body(size, stream=False, known=False):
        kind = "-stream" if stream else "-known" if known else ""
        path = Path(directory) / f"{size or 'base'}{kind}.json"
        path.write_text(bodies.request(size, stream, known))
        return path

    def case(name, size=None, thinks=THINKS, known=False, **options):
        headers = {**variants.HEADERS, "x-load": f"after_us={thinks}"}
        return Case(name, body(size, known=known), thinks=thinks, headers=headers, **options)

    def stream(tokens, connections=16, **options):
        headers = {**variants.HEADERS, "x-load": f"after_us={THINKS} tokens={tokens} gap_us={GAP}"}
        one = ", 1 connection" if connections == 1 else ""
        # Streams that begin together would wait for each other.
        return Case(f"stream of {tokens}{one}", body(None, True), tokens=tokens, begins=tokens * GAP,
                    headers=headers, connections=connections, **options)

    base = case("base", requests=2000 if quick else 4000)
    if quick:
        return [base]
    longest = ("plain", "noop", "ai_proxy_translate", "chain", "bundle")
    return [
        base,
        case("answers at once", thinks=0, requests=4000),
        case("1 KB", 1 * KB, requests=3000),
        case("16 KB", 16 * KB, requests=1500),
        case("256 KB", 256 * KB, requests=160),
        case("256 KB, a turn more", 256 * KB, requests=160, known=True),
        case("4 MB", 4096 * KB, requests=12, connections=4),
        case("concurrency 1", requests=200, connections=1),
        case("concurrency 128", requests=4000, connections=128),
        stream(20, requests=480),
        stream(20, connections=1, requests=25),
        stream(500, requests=32),
        stream(5000, requests=16, only=longest),
    ]


def warm_up(directory):
    """Enough for V8 to compile what is used as well as it can, streams included."""
    base = cases(directory, True)[0]
    base.requests = 3000
    headers = {**variants.HEADERS, "x-load": f"tokens=100 gap_us={GAP // 2}"}
    path = Path(directory) / "warm-stream.json"
    path.write_text(bodies.request(None, True))
    return [base, Case("warm-up stream", path, requests=64, headers=headers)]
