//! When a count begins and ends.

use shared::time;

use crate::zone::Zone;

/// Seconds of most days.
const DAY: i64 = 86_400;

/// A length of time that begins again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// So many seconds, counted from the Unix epoch.
    Seconds(u64),
    /// Monday to Sunday.
    Week,
    /// A month of the calendar.
    Month,
}

impl Window {
    /// Reads `30s`, `1m`, `5h`, `7d` or the name of a calendar's unit.
    pub fn parse(text: &str) -> Option<Window> {
        Some(match text {
            "second" => Window::Seconds(1),
            "minute" => Window::Seconds(60),
            "hour" => Window::Seconds(3_600),
            "day" => Window::Seconds(86_400),
            "week" => Window::Week,
            "month" => Window::Month,
            _ => {
                let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
                let unit = match unit {
                    "s" => 1,
                    "m" => 60,
                    "h" => 3_600,
                    "d" => 86_400,
                    _ => return None,
                };
                // Up to a year and a day, so that nothing overflows anywhere.
                let seconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
                let bounded = (1..=366 * 86_400).contains(&seconds);
                bounded.then_some(Window::Seconds(seconds))?
            }
        })
    }

    /// The window that a second is in: when it began and when it ends, seconds since the Unix epoch. Days,
    /// weeks and months are those of the zone; what is no whole days goes by the lower of
    /// its offsets.
    pub fn at(self, now: u64, zone: Zone) -> (u64, u64) {
        let now = i64::try_from(now).unwrap_or(i64::MAX / 2);
        let today = now.saturating_add(zone.offset_at(now)).div_euclid(DAY);
        let (begin, end) = match self {
            Window::Seconds(length) => {
                let length = i64::try_from(length).unwrap_or(i64::MAX / 4).max(1);
                if length % DAY != 0 {
                    let offset = zone.lowest();
                    let local = now.saturating_add(offset);
                    let begin = local.div_euclid(length) * length - offset;
                    return (unsigned(begin), unsigned(begin + length));
                }
                let days = length / DAY;
                let begin = today.div_euclid(days) * days;
                (begin, begin + days)
            }
            Window::Week => {
                // The epoch was a Thursday.
                let monday = today - (today + 3).rem_euclid(7);
                (monday, monday + 7)
            }
            Window::Month => {
                let (year, month, _) = time::date(today);
                let begin = time::days_since_epoch(year, month, 1);
                (begin, begin + time::days_in(year, month))
            }
        };
        (unsigned(zone.utc(begin * DAY)), unsigned(zone.utc(end * DAY)))
    }

    /// About how long it is, in seconds.
    pub fn length(self) -> u64 {
        match self {
            Window::Seconds(seconds) => seconds,
            Window::Week => 7 * 86_400,
            Window::Month => 30 * 86_400,
        }
    }
}

fn unsigned(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(window: &str, now: &str, offset: i64) -> (i64, i64) {
        let now = u64::try_from(time::parse(now).unwrap()).unwrap();
        let (begin, end) = Window::parse(window).unwrap().at(now, Zone::fixed(offset));
        (i64::try_from(begin).unwrap(), i64::try_from(end).unwrap())
    }

    #[test]
    fn windows_follow_the_calendar_where_it_is() {
        let moment = |text| time::parse(text).unwrap();
        for (window, now, offset, begin, end) in [
            ("minute", "2026-11-23T10:20:30Z", 0, "2026-11-23T10:20:00Z", "2026-11-23T10:21:00Z"),
            ("90s", "1970-01-01T00:01:31Z", 0, "1970-01-01T00:01:30Z", "1970-01-01T00:03:00Z"),
            (
                "day",
                "2026-11-23T20:00:00Z",
                8 * 3600,
                "2026-11-23T16:00:00Z",
                "2026-11-24T16:00:00Z",
            ),
            ("week", "2026-11-23T00:00:00Z", 0, "2026-11-23", "2026-11-30"),
            ("week", "2026-11-22T23:59:59Z", 0, "2026-11-16", "2026-11-23"),
            ("month", "2024-02-29T12:00:00Z", 0, "2024-02-01", "2024-03-01"),
            ("month", "2026-12-31T23:30:00Z", 3600, "2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z"),
            (
                "month",
                "2026-12-31T23:30:00Z",
                -3600,
                "2026-12-01T01:00:00Z",
                "2027-01-01T01:00:00Z",
            ),
        ] {
            assert_eq!(at(window, now, offset), (moment(begin), moment(end)), "{window} {now}");
        }
        for bad in ["", "m", "0s", "1y", "-1s", "400d", "1.5h", "é"] {
            assert_eq!(Window::parse(bad), None, "{bad}");
        }
    }
}
