//! Phone numbers other than Chinese mobiles: international ones by their `+`, North American ones by
//! their form, and any other by the words next to it.

use super::Found;
use super::bytes::{at, before, is_word, run};
use super::context::{Reach, Words, near};
use super::entity::Entity;

/// Words that say that a number is one to call.
const WORDS: Words = Words::new(&[
    "phone",
    "tel",
    "telephone",
    "mobile",
    "cell",
    "cellphone",
    "fax",
    "office",
    "desk",
    "call",
    "callback",
    "calling",
    "dial",
    "whatsapp",
    "sms",
    "reach me",
    "reach you",
    "answering at",
    "hotline",
    "contact me",
    "text me",
    "telefon",
    "handy",
    "rufnummer",
    "anrufen",
    "téléphone",
    "portable",
    "appeler",
    "teléfono",
    "telefono",
    "móvil",
    "llamar",
    "celular",
    "ligar",
    "telefone",
    "cellulare",
    "телефон",
    "тел",
    "電話",
    "전화",
    "电话",
    "手机",
    "联系方式",
    "座机",
    "传真",
    "致电",
]);
/// Words that say that it is something else.
const NOT: Words = Words::new(&[
    "sku", "order", "ticket", "isbn", "version", "invoice", "订单", "编号", "serial", "commit",
    "id", "ratio", "型号",
]);
const NEAR: Reach = Reach { before: 28, after: 12 };
const NOT_NEAR: Reach = Reach { before: 12, after: 0 };

/// A number as it was read.
struct Dialled {
    digits: usize,
    groups: usize,
    /// In its own brackets: `(408)`.
    area: usize,
    /// Lengths of the groups, the first ones.
    form: [usize; 8],
    plus: bool,
    end: usize,
    dots_only: bool,
    spaces_only: bool,
}

/// A phone number that begins here, at a digit, `+` or `(`.
pub(super) fn find(text: &[u8], start: usize) -> Option<Found> {
    let number = read(text, start)?;
    if !(7..=15).contains(&number.digits) || number.groups > 8 {
        return None;
    }
    let end = extension(text, number.end).unwrap_or(number.end);
    if is_word(at(text, end)) || (at(text, end) == b'-' && at(text, end + 1).is_ascii_digit()) {
        return None;
    }
    let found = Some(Found { entity: Entity::Phone, start, end });
    if near(text, start, end, NOT_NEAR, &NOT) {
        return None;
    }
    if (number.plus && number.digits >= 8) || is_american(text, start, &number) {
        return found;
    }
    // What is a decimal number, a date or a range is not a phone number next to any word.
    if number.dots_only && number.groups == 2 || is_date(&number) {
        return None;
    }
    near(text, start, end, NEAR, &WORDS).then_some(Found { entity: Entity::Phone, start, end })
}

/// `408-555-0123`, `(408) 555-0123`, `1.408.555.0123`, `001-408-555-0123`; codes of areas and offices
/// begin with 2 to 9, but the generators of test data do not keep to that for offices.
fn is_american(text: &[u8], start: usize, number: &Dialled) -> bool {
    let form = number.form.get(..number.groups.min(8)).unwrap_or_default();
    let (coded, form) = match form {
        [1, rest @ ..] => (1, rest),
        [3, rest @ ..]
            if rest.len() == 3 && text.get(start..).is_some_and(|t| t.starts_with(b"001")) =>
        {
            (3, rest)
        }
        all => (0, all),
    };
    if form != [3, 3, 4] || number.spaces_only && number.area == 0 && coded == 0 {
        return false;
    }
    let first_at = text.get(start..).and_then(|rest| {
        rest.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).nth(coded)
    });
    first_at.is_some_and(|(_, digit)| (b'2'..=b'9').contains(digit))
}

fn is_date(number: &Dialled) -> bool {
    let form = number.form.get(..number.groups.min(8)).unwrap_or_default();
    !number.plus
        && number.area == 0
        && matches!(form, [4, 2, 2] | [2, 2, 4] | [1, 2, 4] | [2, 1, 4] | [4, 4])
}

fn read(text: &[u8], start: usize) -> Option<Dialled> {
    let mut number = Dialled {
        digits: 0,
        groups: 0,
        area: 0,
        form: [0; 8],
        plus: at(text, start) == b'+',
        end: start,
        dots_only: true,
        spaces_only: true,
    };
    let mut place = start + usize::from(number.plus);
    loop {
        let open = at(text, place) == b'(';
        let from = place + usize::from(open);
        let group = run(text, from, 16, |byte| byte.is_ascii_digit());
        if group == 0 || group > 15 || (open && (group > 5 || number.area > 0)) {
            break;
        }
        let mut end = from + group;
        if open {
            if at(text, end) != b')' {
                break;
            }
            number.area = group;
            end += 1;
        }
        if let Some(slot) = number.form.get_mut(number.groups) {
            *slot = group;
        }
        number.digits += group;
        number.groups += 1;
        number.end = end;
        if number.digits > 15 || number.groups > 8 {
            return None;
        }
        let separator = at(text, end);
        let bracket = open || separator == b'(';
        let wide = separator == b' ' && at(text, end + 1) == b'(';
        place = match separator {
            b' ' | b'-' | b'.' => end + 1,
            b'(' => end,
            _ if bracket && separator.is_ascii_digit() => end,
            _ => break,
        };
        let next = at(text, place);
        if !next.is_ascii_digit() && next != b'(' {
            break;
        }
        number.dots_only &= separator == b'.';
        number.spaces_only &= separator == b' ' && !wide;
    }
    (number.groups > 0).then_some(number)
}

/// `x123`, ` ext. 123`; where it ends.
fn extension(text: &[u8], end: usize) -> Option<usize> {
    let rest = text.get(end..end.saturating_add(8).min(text.len()))?;
    let skip = [&b"x"[..], b" x", b" ext. ", b" ext ", b" ext.", b"ext"]
        .into_iter()
        .filter(|mark| rest.starts_with(mark))
        .map(<[u8]>::len)
        .max()?;
    let digits = run(text, end + skip, 6, |byte| byte.is_ascii_digit());
    (1..=5).contains(&digits).then_some(end + skip + digits)
}

/// Whether a number may begin at this place: not within another one.
pub(super) fn may_begin(text: &[u8], start: usize) -> bool {
    let left = before(text, start);
    !is_word(left) && left != b'+' && left != b'('
}
