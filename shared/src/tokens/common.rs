//! Which Chinese characters are in every text.

/// The 400 Chinese characters that are used most, in the order of their codes.
const COMMON: &str = "\
    一万三上下不与且世业东两个中为主么义之也书买了事二于些交产人什从他代令以们件价任会但位住体何作你使便保信修候值做像儿元先入全公关其内再写准几出分列则利别到制前力\
    加务动包化区十华单却历原去又及友反发取受变口只可台史号各合同名后向吧员味命和品喜四回因国图在地场基境处外多大天太失头套女她好如始子字存学孩它安完定宝实客家容对将\
    小少就展工差己已市带常平年并床应店度建开式张强当很得心快态怎思性总息情想意感成我或户房所手才打找把报指换据接推提携收改放政故教数整文新方施无日早时明星是显晚更最\
    月有服望期本机来果标样格楼模次欢正此每比民气水求没法活济海深清满点然爱版物特环现理生用由电画界的目直相看真着知确示社离种程空立符第等简算管类系级经结给统网置美老\
    者而能自至般色节行表被装西要见观视觉解计订认让议记讲许论设评话该语说读调象质费走起路身车较边达过运近还这进连送选通道那部都酒里重量金错长门问间难非面页项题风餐高\
";

/// Whether a Chinese character is one of the most used, which are seldom alone in their token.
pub(super) fn is_common(c: char) -> bool {
    let (mut from, mut to) = (0, COMMON.len() / 3);
    while from < to {
        let middle = usize::midpoint(from, to);
        let found = COMMON.get(middle * 3..).and_then(|rest| rest.chars().next());
        match found.map(|found| found.cmp(&c)) {
            Some(std::cmp::Ordering::Equal) => return true,
            Some(std::cmp::Ordering::Less) => from = middle + 1,
            _ => to = middle,
        }
    }
    false
}
