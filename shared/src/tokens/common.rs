//! Which Chinese characters are in every text.

/// The 400 Chinese characters that are used most, in the order of their codes.
const COMMON: &str = "\
    一万三上下不与且世业东两个中为主么义之也书买了事二于些交产人什从他代令以们件价任会但位住体何作你使便保信修候值做像儿元先入全公关其内再写准几出分列则利别到制前力\
    加务动包化区十华单却历原去又及友反发取受变口只可台史号各合同名后向吧员味命和品喜四回因国图在地场基境处外多大天太失头套女她好如始子字存学孩它安完定宝实客家容对将\
    小少就展工差己已市带常平年并床应店度建开式张强当很得心快态怎思性总息情想意感成我或户房所手才打找把报指换据接推提携收改放政故教数整文新方施无日早时明星是显晚更最\
    月有服望期本机来果标样格楼模次欢正此每比民气水求没法活济海深清满点然爱版物特环现理生用由电画界的目直相看真着知确示社离种程空立符第等简算管类系级经结给统网置美老\
    者而能自至般色节行表被装西要见观视觉解计订认让议记讲许论设评话该语说读调象质费走起路身车较边达过运近还这进连送选通道那部都酒里重量金错长门问间难非面页项题风餐高\
";

/// The first of the CJK Unified Ideographs, where all of them are.
const FIRST: u32 = 0x4e00;
/// How many bytes have a bit for each of these.
const BYTES: usize = (0xa000 - FIRST as usize) / 8;

/// A bit for each character, the lowest of a byte first.
static BITS: [u8; BYTES] = bits();

#[allow(clippy::indexing_slicing)]
const fn bits() -> [u8; BYTES] {
    let (text, mut bits, mut at) = (COMMON.as_bytes(), [0; BYTES], 0);
    // All of them take three bytes of UTF-8.
    while at + 2 < text.len() {
        let (a, b, c) = (text[at] as u32, text[at + 1] as u32, text[at + 2] as u32);
        let place = (((a & 0x0f) << 12 | (b & 0x3f) << 6 | (c & 0x3f)) - FIRST) as usize;
        bits[place / 8] |= 1 << (place % 8);
        at += 3;
    }
    bits
}

/// Whether a Chinese character is one of the most used, which are seldom alone in their token.
pub(super) fn is_common(c: char) -> bool {
    let place = (c as u32).wrapping_sub(FIRST) as usize;
    BITS.get(place / 8).is_some_and(|bits| bits >> (place % 8) & 1 == 1)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_common_ones_are_those_of_the_list() {
        let all = ('\u{4e00}'..='\u{9fff}').filter(|c| is_common(*c)).collect::<String>();
        assert_eq!(all, COMMON);
        assert!(!is_common('a') && !is_common('\u{a000}') && !is_common('🎉'));
    }
}
