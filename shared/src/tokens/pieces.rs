//! Cuts a text into the pieces that o200k_base never joins
//! (<https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py>).

/// What a word begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lead {
    /// Its first letter.
    #[default]
    None,
    /// A space.
    Space,
    /// Another sign, as of `.name` or `(name`.
    Sign,
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Letters, with what is before them.
    Word {
        /// What it begins with.
        lead: Lead,
        /// Letters of ASCII.
        ascii: u32,
        /// Of these, the capitals.
        capitals: u32,
        /// Letters with accents.
        accented: u32,
        /// Letters of Greek and Cyrillic.
        cyrillic: u32,
        /// Letters of Arabic and Hebrew.
        arabic: u32,
        /// Chinese characters that are in every text.
        common_han: u32,
        /// Other Chinese characters.
        han: u32,
        /// Japanese syllables.
        kana: u32,
        /// Korean syllables.
        hangul: u32,
        /// Letters of all other scripts.
        other: u32,
    },
    /// So many digits in a row.
    Digits(u32),
    /// Signs in a row.
    Signs {
        /// A space comes first.
        spaced: bool,
        /// Of ASCII, and lines of boxes.
        ascii: u32,
        /// As in Chinese and typography.
        wide: u32,
        /// Pictures, and whatever else there is.
        rare: u32,
        /// The line breaks that follow.
        breaks: u32,
    },
    /// White space of so many characters that ends with a line break.
    Breaks(u32),
    /// Spaces of so many characters in front of one more.
    Spaces(u32),
}

impl Piece {
    /// How many characters it has.
    pub fn len(&self) -> u32 {
        match *self {
            Piece::Word {
                lead,
                ascii,
                accented,
                cyrillic,
                arabic,
                common_han,
                han,
                kana,
                hangul,
                other,
                ..
            } => {
                let letters = [ascii, accented, cyrillic, arabic, common_han, han, kana, hangul];
                let lead = u32::from(lead != Lead::None);
                letters.iter().fold(lead.saturating_add(other), |sum, n| sum.saturating_add(*n))
            }
            Piece::Signs { spaced, ascii, wide, rare, breaks } => u32::from(spaced)
                .saturating_add(ascii)
                .saturating_add(wide)
                .saturating_add(rare)
                .saturating_add(breaks),
            Piece::Digits(n) | Piece::Breaks(n) | Piece::Spaces(n) => n,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What has been read of the piece at hand.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Start,
    /// White space: how much before and with the last line break, and how much after it.
    White { broken: u32, after: u32 },
    /// A word, signs or digits, and whether a small letter was there.
    In { piece: Piece, small: bool },
}

/// The cutting of one text.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    state: State,
}

/// What the end of a text completes: white space in two pieces at most.
type Ended = [Option<Piece>; 2];

const NOTHING: Ended = [None, None];

impl Pieces {
    /// The next character; what is complete with it is given away: the white space before a word in two
    /// pieces.
    pub fn push(&mut self, c: char, ended: &mut dyn FnMut(&Piece)) {
        let next = kind(c);
        match &mut self.state {
            State::In { piece: Piece::Signs { spaced, ascii, wide, rare, breaks }, .. } => {
                match next {
                    Kind::Break => return *breaks = breaks.saturating_add(1),
                    // Line breaks may be followed by strokes only.
                    Kind::Sign(sign) if *breaks == 0 || c == '/' => {
                        let count = match sign {
                            Sign::Ascii => ascii,
                            Sign::Wide => wide,
                            Sign::Rare => rare,
                        };
                        return *count = count.saturating_add(1);
                    }
                    Kind::Letter(letter)
                        if !*spaced
                            && *breaks == 0
                            && ascii.saturating_add(*wide).saturating_add(*rare) == 1 =>
                    {
                        return self.state = word(Lead::Sign, letter);
                    }
                    _ => {}
                }
            }
            State::In { piece: Piece::Digits(count), .. } => {
                if next == Kind::Digit {
                    return *count = count.saturating_add(1);
                }
            }
            State::In { piece, small } => {
                // A capital after a small letter begins a word of its own.
                if let Kind::Letter(letter) = next
                    && !(letter == Letter::Capital && *small)
                {
                    *small |= letter == Letter::Small;
                    return grow(piece, letter);
                }
            }
            State::White { broken, after } => match next {
                Kind::Break => {
                    *broken = broken.saturating_add(*after).saturating_add(1);
                    return *after = 0;
                }
                Kind::White => return *after = after.saturating_add(1),
                _ => {
                    // The last space belongs to the word or sign, but not to a digit.
                    let joins = *after > 0 && next != Kind::Digit;
                    let apart = if joins { after.saturating_sub(1) } else { *after };
                    if *broken > 0 {
                        ended(&Piece::Breaks(*broken));
                    }
                    if apart > 0 {
                        ended(&Piece::Spaces(apart));
                    }
                    return self.state = begin(next, joins);
                }
            },
            State::Start => {}
        }
        if let State::In { piece, .. } = &self.state {
            ended(piece);
        }
        self.state = begin(next, false);
    }

    /// What would be complete if the text ended here.
    pub fn last(&self) -> Ended {
        match self.state {
            State::Start => NOTHING,
            State::White { broken, after } => [
                (broken > 0).then_some(Piece::Breaks(broken)),
                (after > 0).then_some(Piece::Spaces(after)),
            ],
            State::In { piece, .. } => [Some(piece), None],
        }
    }

    /// The word, signs or digits at hand, all of which a space ends.
    pub(super) fn piece(&self) -> Option<&Piece> {
        match &self.state {
            State::In { piece, .. } => Some(piece),
            State::Start | State::White { .. } => None,
        }
    }

    /// A space and so many small letters have come; only after [a piece](Pieces::piece), which has been
    /// counted.
    pub(super) fn begin_word_after_space(&mut self, letters: u32) {
        self.state = word(Lead::Space, Letter::Small);
        self.grow_small(letters.saturating_sub(1));
    }

    /// So many small letters have come; false, and nothing is done, if no word is at hand.
    pub(super) fn grow_small(&mut self, letters: u32) -> bool {
        let State::In { piece: Piece::Word { ascii, .. }, small } = &mut self.state else {
            return false;
        };
        *ascii = ascii.saturating_add(letters);
        *small = true;
        true
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Letter(Letter),
    Digit,
    Sign(Sign),
    White,
    Break,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Small,
    Capital,
    Accented,
    Cyrillic,
    Arabic,
    CommonHan,
    Han,
    Kana,
    Hangul,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Ascii,
    Wide,
    Rare,
}

fn begin(kind: Kind, after_space: bool) -> State {
    match kind {
        Kind::Letter(letter) => word(if after_space { Lead::Space } else { Lead::None }, letter),
        Kind::Digit => State::In { piece: Piece::Digits(1), small: false },
        Kind::Sign(sign) => {
            let one = |is: Sign| u32::from(sign == is);
            let piece = Piece::Signs {
                spaced: after_space,
                ascii: one(Sign::Ascii),
                wide: one(Sign::Wide),
                rare: one(Sign::Rare),
                breaks: 0,
            };
            State::In { piece, small: false }
        }
        Kind::White => State::White { broken: 0, after: 1 },
        Kind::Break => State::White { broken: 1, after: 0 },
    }
}

fn word(lead: Lead, letter: Letter) -> State {
    let mut piece = Piece::Word {
        lead,
        ascii: 0,
        capitals: 0,
        accented: 0,
        cyrillic: 0,
        arabic: 0,
        common_han: 0,
        han: 0,
        kana: 0,
        hangul: 0,
        other: 0,
    };
    grow(&mut piece, letter);
    State::In { piece, small: letter == Letter::Small }
}

fn grow(piece: &mut Piece, letter: Letter) {
    let Piece::Word {
        ascii,
        capitals,
        accented,
        cyrillic,
        arabic,
        common_han,
        han,
        kana,
        hangul,
        other,
        ..
    } = piece
    else {
        return;
    };
    if letter == Letter::Capital {
        *capitals = capitals.saturating_add(1);
    }
    let count = match letter {
        Letter::Small | Letter::Capital => ascii,
        Letter::Accented => accented,
        Letter::Cyrillic => cyrillic,
        Letter::Arabic => arabic,
        Letter::CommonHan => common_han,
        Letter::Han => han,
        Letter::Kana => kana,
        Letter::Hangul => hangul,
        Letter::Other => other,
    };
    *count = count.saturating_add(1);
}

fn kind(c: char) -> Kind {
    match c {
        'a'..='z' => Kind::Letter(Letter::Small),
        'A'..='Z' => Kind::Letter(Letter::Capital),
        '0'..='9' => Kind::Digit,
        '\n' | '\r' => Kind::Break,
        ' '
        | '\t'
        | '\u{b}'
        | '\u{c}'
        | '\u{85}'
        | '\u{a0}'
        | '\u{2000}'..='\u{200a}'
        | '\u{3000}' => Kind::White,
        // Lines of boxes come in runs, as those of ASCII do.
        '\0'..='\u{7f}' | '\u{2500}'..='\u{259f}' => Kind::Sign(Sign::Ascii),
        '\u{4e00}'..='\u{9fff}' if super::common::is_common(c) => Kind::Letter(Letter::CommonHan),
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => {
            Kind::Letter(Letter::Han)
        }
        '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30ff}' => Kind::Letter(Letter::Kana),
        '\u{ac00}'..='\u{d7af}' | '\u{1100}'..='\u{11ff}' => Kind::Letter(Letter::Hangul),
        '\u{2010}'..='\u{206f}'
        | '\u{3001}'..='\u{303f}'
        | '\u{ff00}'..='\u{ff0f}'
        | '\u{ff1a}'..='\u{ff20}'
        | '\u{80}'..='\u{a9}'
        | '\u{ab}'..='\u{b4}'
        | '\u{b6}'..='\u{b9}'
        | '\u{bb}'..='\u{bf}'
        | '\u{d7}'
        | '\u{f7}' => Kind::Sign(Sign::Wide),
        '\u{2070}'..='\u{2bff}' | '\u{fe00}'..='\u{fe0f}' => Kind::Sign(Sign::Rare),
        '\u{370}'..='\u{52f}' => Kind::Letter(Letter::Cyrillic),
        '\u{590}'..='\u{77f}' => Kind::Letter(Letter::Arabic),
        '\u{aa}'..='\u{36f}' | '\u{1e00}'..='\u{1eff}' => Kind::Letter(Letter::Accented),
        '\u{1f000}'.. => Kind::Sign(Sign::Rare),
        _ => Kind::Letter(Letter::Other),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn ended(text: &str) -> Vec<u32> {
        let (mut pieces, mut lengths) = (Pieces::default(), Vec::new());
        text.chars().for_each(|c| pieces.push(c, &mut |piece| lengths.push(piece.len())));
        lengths.extend(pieces.last().iter().flatten().map(Piece::len));
        lengths
    }

    /// As o200k_base's pattern cuts them.
    #[test]
    fn a_text_is_cut_into_its_pieces() {
        for (text, lengths) in [
            ("..\n.", vec![3, 1]),
            ("..\n/", vec![4]),
            (".a", vec![2]),
            (" .a", vec![2, 1]),
            ("..a", vec![2, 1]),
            ("a1b", vec![1, 1, 1]),
            ("aB", vec![1, 1]),
            ("AB", vec![2]),
            (" \n  a", vec![2, 1, 2]),
            ("  1", vec![2, 1]),
            ("   ", vec![3]),
        ] {
            assert_eq!(ended(text), lengths, "{text:?}");
        }
    }
}
