"""Writes src/zones.txt and tests/zones.tsv anew, from a folder of the time zone database.

    python3 plugins/token-ratelimit/tests/zones.py FOLDER       (/usr/share/zoneinfo, or that of the package tzdata)

Of each zone of a country its rule is taken as the database has it for all years to come, at the end of a TZif
file (RFC 9636, 3.3). One that does not say what `zoneinfo` says for the next ten years is left out, as Gaza, which
follows the moon.
"""

import sys
import zoneinfo
from collections import defaultdict
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).parent
YEARS = range(2027, 2037)
# Their days of all months and around each change are in the table that the tests compare with.
SEEN = """Europe/Berlin Europe/London Europe/Dublin Europe/Lisbon Atlantic/Azores America/New_York America/Los_Angeles
America/Sao_Paulo America/Santiago America/St_Johns America/Nuuk America/Asuncion Africa/Cairo
Asia/Jerusalem Asia/Beirut Asia/Shanghai Asia/Kolkata Asia/Kathmandu Asia/Tehran Asia/Tokyo Australia/Sydney
Australia/Lord_Howe Pacific/Auckland Pacific/Chatham Pacific/Apia Antarctica/Troll UTC""".split()


def second(zone, day):
    """The first second of a day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def changes(zone):
    """Each moment of the years at which the offset changes, and the offsets before and after it."""
    at = lambda moment: int(datetime.fromtimestamp(moment, timezone.utc).astimezone(zone).utcoffset().total_seconds())
    begin = int(datetime(YEARS[0], 1, 1, tzinfo=timezone.utc).timestamp())
    end = int(datetime(YEARS[-1] + 1, 1, 1, tzinfo=timezone.utc).timestamp())
    found = []
    for moment in range(begin, end, 86_400):
        low, high = moment, moment + 86_400
        if at(low) == at(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if at(middle) == at(low) else (low, middle)
        found.append((high, at(high - 1), at(high)))
    return found


def rules(folder):
    """The rule of each zone of a country."""
    rows = (folder / "zone.tab").read_text().splitlines()
    names = [row.split("\t")[2].strip() for row in rows if not row.startswith("#")]
    return {name: (folder / name).read_bytes().rsplit(b"\n", 2)[1].decode() for name in [*names, "UTC"]}


def ruled(rule, month, week, day):
    """The day of a month that a rule means."""
    first = date(rule, month, 1)
    found = first + timedelta((day - first.isoweekday()) % 7 + 7 * (week - 1))
    return found if found.month == month else found - timedelta(7)


def follows(rule, zone):
    """Whether a rule says what the zone does."""
    said = changes(zone)
    if "," not in rule:
        return not said
    days = sorted((month, week, day) for month, week, day in
                  (map(int, part.split("/")[0][1:].split(".")) for part in rule.split(",")[1:]))
    wanted = [ruled(year, *day) for year in YEARS for day in days]
    # A time of the day may be beyond it, by up to a week.
    near = [abs(datetime.fromtimestamp(moment, zone).date() - day) <= timedelta(3)
            for (moment, *_), day in zip(said, wanted)]
    return len(said) == len(wanted) and all(near)


def main():
    folder = Path(sys.argv[1])
    zoneinfo.reset_tzpath([str(folder)])
    zone = zoneinfo.ZoneInfo
    kept = {name: rule for name, rule in rules(folder).items() if follows(rule, zone(name))}
    print("left out:", *sorted(set(rules(folder)) - set(kept)))
    lines = defaultdict(lambda: defaultdict(list))
    for name, rule in kept.items():
        region, city = name.split("/", 1) if "/" in name else ("", name)
        lines[rule][region].append(city)
    text = [f"{rule} " + " ".join(f"{region}:{','.join(sorted(cities))}" for region, cities in sorted(regions.items()))
            for rule, regions in sorted(lines.items())]
    (HERE / "../src/zones.txt").write_text("\n".join(text) + "\n")
    rows = []
    for name in SEEN:
        here, days = zone(name), set()
        for moment, *_ in changes(here)[:4]:
            around = datetime.fromtimestamp(moment, here).date()
            days |= {around + timedelta(more) for more in (-1, 0, 1)}
        days |= {date(year, month, 1) for year in (2027, 2031) for month in (1, 6, 12)}
        for day in sorted(days):
            rows.append(f"{name}\t{day}\t{second(here, day)}\t{second(here, day + timedelta(1))}\t"
                        f"{second(here, day.replace(day=1))}")
    (HERE / "zones.tsv").write_text("\n".join(rows) + "\n")


main()
