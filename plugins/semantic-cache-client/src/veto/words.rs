//! English texts as words.

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// In small letters.
    pub(super) text: String,
    /// Without its ending.
    pub(super) stem: String,
    /// It has a capital, and does not begin its sentence; or it is a name whatever its place: `iOS`,
    /// `SSO`, `GPT-4`.
    pub(super) name: bool,
    /// It begins its sentence.
    pub(super) first: bool,
}

/// A text's words. `don't` is `do not`, `what's` is `what is`.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut out: Vec<Word> = Vec::new();
    let mut first = true;
    let mut current = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        let within = !current.is_empty() && next.is_some_and(char::is_alphanumeric);
        let digits = current.ends_with(|c: char| c.is_ascii_digit())
            && next.is_some_and(|c| c.is_ascii_digit());
        match letter {
            _ if letter.is_alphanumeric() => current.push(letter),
            '\'' | '’' if within => current.push('\''),
            // `3.5`, `node.js`; `1,000` is one number.
            '.' if within => current.push('.'),
            ',' if digits => {}
            '+' | '#'
                if current.len() <= 2
                    && current.ends_with(|c: char| c.is_alphabetic() || c == '+') =>
            {
                current.push(letter);
            }
            _ => {
                add(&mut out, &current, first);
                first =
                    (first && current.is_empty()) || matches!(letter, '.' | '?' | '!' | ':' | '\n');
                current.clear();
                match letter {
                    '%' => add(&mut out, "percent", false),
                    '$' => add(&mut out, "usd", false),
                    '€' => add(&mut out, "eur", false),
                    '£' => add(&mut out, "gbp", false),
                    '¥' => add(&mut out, "cny", false),
                    '&' => add(&mut out, "and", false),
                    '+' | '*' | '/' | '=' | '<' | '>' | '^' => {
                        add(&mut out, &letter.to_string(), false)
                    }
                    // Minus, but not a hyphen.
                    '-' | '−' if next.is_some_and(|c| c.is_ascii_digit() || c == ' ') => {
                        add(&mut out, "-", false);
                    }
                    _ => {}
                }
            }
        }
    }
    add(&mut out, &current, first);
    out
}

fn add(out: &mut Vec<Word>, word: &str, first: bool) {
    if word.is_empty() {
        return;
    }
    let lower = word.to_lowercase();
    let parts: [&str; 2] = match lower.as_str() {
        "can't" | "cannot" | "cant" => ["can", "not"],
        "won't" => ["will", "not"],
        "dont" => ["do", "not"],
        "doesnt" => ["does", "not"],
        "didnt" => ["did", "not"],
        "isnt" => ["is", "not"],
        _ => match lower.split_once('\'') {
            Some((before, "t")) if before.ends_with('n') => {
                [before.strip_suffix('n').unwrap_or(before), "not"]
            }
            Some((before, "s")) if super::lists::QUESTION.contains(&before) || before == "it" => {
                [before, "is"]
            }
            Some((before, "s")) => [before, ""],
            Some((before, "re")) => [before, "are"],
            Some((before, "ve")) => [before, "have"],
            Some((before, "m")) => [before, "am"],
            Some((before, "ll")) => [before, "will"],
            Some((before, "d")) => [before, "would"],
            _ => [&lower, ""],
        },
    };
    let capitals = word.chars().filter(|c| c.is_uppercase()).count();
    let digits = word.chars().any(|c| c.is_ascii_digit()) && word.chars().any(char::is_alphabetic);
    let inner = word.chars().skip(1).any(char::is_uppercase);
    let name =
        lower != "i" && !lower.starts_with("i'") && ((capitals > 0 && !first) || inner || digits);
    for (index, part) in parts.into_iter().filter(|part| !part.is_empty()).enumerate() {
        out.push(Word {
            text: part.to_owned(),
            stem: stem(part),
            name: name && index == 0,
            first: first && index == 0,
        });
    }
}

/// A word without its ending: good enough to see that `installing`, `installs` and `installation` are of
/// `install`. After Porter, An algorithm for suffix stripping, 1980; a few of its rules.
pub(super) fn stem(word: &str) -> String {
    if word.len() <= 3 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return word.to_owned();
    }
    let word = match word {
        _ if word.ends_with("sses") => word.strip_suffix("es").unwrap_or(word).to_owned(),
        _ if word.ends_with("ies") => word.strip_suffix("ies").unwrap_or(word).to_owned() + "y",
        _ if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") => {
            word.to_owned()
        }
        _ => word.strip_suffix('s').unwrap_or(word).to_owned(),
    };
    for ending in [
        "ization", "isation", "ational", "fulness", "iveness", "ations", "ation", "ment", "ness",
        "ingly", "edly", "ing", "ion", "est", "ied", "ed", "ly", "er", "e", "y",
    ] {
        let Some(rest) = word.strip_suffix(ending) else { continue };
        if rest.len() < 3 || !rest.bytes().any(|b| b"aeiouy".contains(&b)) {
            continue;
        }
        let rest = match ending {
            "ation" | "ations" | "ational" | "ization" | "isation" => rest.to_owned(),
            _ => rest.to_owned(),
        };
        // `stopped`, `running`.
        let mut tail = rest.bytes().rev();
        let doubled = matches!((tail.next(), tail.next()), (Some(a), Some(b)) if a == b && !b"lsz".contains(&a));
        if doubled && matches!(ending, "ing" | "ed" | "er" | "est") {
            return rest.get(..rest.len() - 1).unwrap_or(&rest).to_owned();
        }
        return rest.strip_suffix('e').filter(|r| r.len() >= 3).map_or(rest.clone(), str::to_owned);
    }
    word
}
