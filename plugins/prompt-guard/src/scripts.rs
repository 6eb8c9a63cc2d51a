//! In which scripts a text is written.

use crate::config::Script;

/// Fewer letters than these say nothing.
const LEAST: usize = 10;

/// Whether a fifth of a text's letters, and it has enough of them, are of other scripts than these.
pub(crate) fn others(text: &str, allowed: &[Script]) -> bool {
    let (mut letters, mut others) = (0_usize, 0_usize);
    for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
        letters += 1;
        others += usize::from(!allowed.contains(&script(letter)));
    }
    letters >= LEAST && others.saturating_mul(5) >= letters
}

/// The script of a letter, by the blocks of Unicode.
fn script(letter: char) -> Script {
    match u32::from(letter) {
        0..=0x24f | 0x1e00..=0x1eff | 0xff21..=0xff5a => Script::Latin,
        0x370..=0x3ff | 0x1f00..=0x1fff => Script::Greek,
        0x400..=0x52f => Script::Cyrillic,
        0x590..=0x5ff => Script::Hebrew,
        0x600..=0x6ff | 0x750..=0x77f | 0x8a0..=0x8ff | 0xfb50..=0xfefc => Script::Arabic,
        0x900..=0x97f => Script::Devanagari,
        0xe00..=0xe7f => Script::Thai,
        0x1100..=0x11ff | 0x3130..=0x318f | 0xac00..=0xd7a3 => Script::Hangul,
        0x3040..=0x30ff | 0x31f0..=0x31ff | 0xff66..=0xff9d => Script::Kana,
        0x2e80..=0x2fdf
        | 0x3005..=0x3007
        | 0x3400..=0x9fff
        | 0xf900..=0xfaff
        | 0x2_0000..=0x3_ffff => Script::Han,
        _ => Script::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_judged_by_its_letters() {
        let latin = [Script::Latin];
        for (text, told) in [
            ("What is the weather in Köln?", false),
            ("Привет, как дела сегодня?", true),
            ("The word is 你好, it means hello", false),
            ("请帮我翻译以下内容成英文", true),
            ("你好", false),
            ("1234567890 🙂🙂🙂", false),
        ] {
            assert_eq!(others(text, &latin), told, "{text}");
        }
        assert!(!others("請を翻訳してください。お願いします", &[Script::Han, Script::Kana]));
        assert!(others("กรุณาแปลข้อความนี้", &latin) && others("ترجم هذا النص من فضلك", &latin));
    }
}
