//! Chinese questions, character by character: there are no spaces to tell words by.

use super::{Why, quotations, same};

/// Opposites.
const OPPOSITES: &[(&str, &str)] = &[
    ("启用", "禁用"),
    ("启用", "停用"),
    ("开通", "关闭"),
    ("开通", "注销"),
    ("开通", "取消"),
    ("开启", "关闭"),
    ("打开", "关闭"),
    ("开", "关"),
    ("允许", "禁止"),
    ("允许", "拒绝"),
    ("同意", "拒绝"),
    ("接受", "拒绝"),
    ("增加", "减少"),
    ("增大", "减小"),
    ("上升", "下降"),
    ("提高", "降低"),
    ("升高", "降低"),
    ("之前", "之后"),
    ("以前", "以后"),
    ("前", "后"),
    ("提前", "延后"),
    ("提前", "延期"),
    ("高", "低"),
    ("买", "卖"),
    ("进", "出"),
    ("登录", "退出"),
    ("登陆", "退出"),
    ("安装", "卸载"),
    ("添加", "删除"),
    ("添加", "移除"),
    ("新增", "删除"),
    ("创建", "删除"),
    ("收入", "支出"),
    ("收款", "付款"),
    ("借", "还"),
    ("借出", "借入"),
    ("充值", "提现"),
    ("存", "取"),
    ("绑定", "解绑"),
    ("绑定", "解除"),
    ("加入", "退出"),
    ("升级", "降级"),
    ("最大", "最小"),
    ("最多", "最少"),
    ("最高", "最低"),
    ("最好", "最差"),
    ("早", "晚"),
    ("左", "右"),
    ("上", "下"),
    ("大", "小"),
    ("长", "短"),
    ("快", "慢"),
    ("好", "坏"),
    ("优点", "缺点"),
    ("优势", "劣势"),
    ("利", "弊"),
    ("男", "女"),
    ("有", "无"),
    ("开始", "结束"),
    ("开始", "停止"),
    ("第一", "最后"),
    ("导入", "导出"),
    ("上传", "下载"),
    ("加密", "解密"),
    ("压缩", "解压"),
    ("锁定", "解锁"),
    ("冻结", "解冻"),
    ("关注", "取关"),
    ("订阅", "退订"),
    ("连接", "断开"),
    ("显示", "隐藏"),
    ("发送", "接收"),
    ("内", "外"),
    ("国内", "国外"),
    ("线上", "线下"),
    ("在线", "离线"),
    ("公开", "私密"),
    ("自动", "手动"),
    ("安全", "危险"),
    ("合法", "非法"),
    ("成功", "失败"),
    ("真", "假"),
    ("新", "旧"),
    ("冷", "热"),
    ("贵", "便宜"),
    ("多", "少"),
    ("远", "近"),
    ("强", "弱"),
    ("静态", "动态"),
    ("同步", "异步"),
    ("白天", "晚上"),
    ("父亲", "母亲"),
    ("丈夫", "妻子"),
    ("盈利", "亏损"),
    ("支持", "反对"),
    ("喜欢", "讨厌"),
    ("开机", "关机"),
    ("入职", "离职"),
    ("结婚", "离婚"),
    ("生", "死"),
];

/// Questions of the form `can or cannot`, which deny nothing.
const BOTH: [&str; 12] = [
    "是不是",
    "能不能",
    "可不可以",
    "有没有",
    "会不会",
    "要不要",
    "行不行",
    "好不好",
    "对不对",
    "用不用",
    "是否",
    "能否",
];

/// Words with a character that denies and no denial.
const NO_DENIAL: [&str; 9] =
    ["不过", "不同", "不仅", "不但", "无论", "不管", "非常", "未来", "差不多"];

const NEGATIONS: [char; 8] = ['不', '没', '无', '未', '非', '别', '勿', '莫'];

/// Words that ask, polite words and particles: nothing changes with them.
const EMPTY: [&str; 40] = [
    "怎么样",
    "怎么",
    "怎样",
    "如何",
    "怎",
    "咋",
    "请问",
    "请",
    "麻烦",
    "一下",
    "什么",
    "哪些",
    "哪个",
    "为何",
    "为什么",
    "吗",
    "呢",
    "啊",
    "吧",
    "呀",
    "了",
    "的",
    "地",
    "得",
    "我想",
    "我要",
    "想要",
    "可以",
    "能",
    "是",
    "有",
    "帮我",
    "告诉我",
    "知道",
    "办法",
    "方法",
    "步骤",
    "个",
    "要",
    "我",
];

/// What makes two questions different.
pub(super) fn differ(a: &str, b: &str) -> Option<Why> {
    if !same(&quotations(a), &quotations(b)) {
        return Some(Why::Quotation);
    }
    if !same(&numbers(a), &numbers(b)) {
        return Some(Why::Number);
    }
    if !same(&latin(a), &latin(b)) {
        return Some(Why::Entity);
    }
    if denials(a) % 2 != denials(b) % 2 {
        return Some(Why::Negation);
    }
    if opposite(a, b) {
        return Some(Why::Polarity);
    }
    if reason(a) != reason(b) {
        return Some(Why::Aspect);
    }
    let (plain_a, plain_b) = (plain(a), plain(b));
    if swapped(&plain_a, &plain_b) {
        return Some(Why::Direction);
    }
    substituted(&plain_a, &plain_b).then_some(Why::Substitution)
}

/// Numbers, in digits; those of Chinese characters where a measure word or unit follows.
fn numbers(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut current = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        // Full-width digits are digits.
        let digit = c.to_digit(10).or_else(|| {
            let wide = u32::from(c).wrapping_sub(0xff10);
            (wide < 10).then_some(wide)
        });
        let digit = digit.and_then(|digit| char::from_digit(digit, 10));
        match (digit, c) {
            (Some(digit), _) => current.push(digit),
            (None, '.')
                if !current.is_empty() && characters.peek().is_some_and(char::is_ascii_digit) =>
            {
                current.push('.');
            }
            (None, ',')
                if !current.is_empty() && characters.peek().is_some_and(char::is_ascii_digit) => {}
            _ => {
                if !current.is_empty() {
                    out.push(std::mem::take(&mut current));
                }
                if let Some(at) = "零一二三四五六七八九十百千万亿两".chars().position(|n| n == c)
                {
                    // Each character stands for itself: what counts is that they are the same.
                    out.push(if at == 15 { "n2".into() } else { format!("n{at}") });
                }
            }
        }
    }
    if !current.is_empty() {
        out.push(current);
    }
    // `一` of `一下` and `一个` is no number.
    let idle = ["一下", "一个", "一般", "一样", "一直", "一起", "统一", "一些", "万一", "第一次"];
    let idle: usize = idle.iter().map(|word| text.matches(word).count()).sum();
    for _ in 0..idle {
        if let Some(at) = out.iter().position(|number| number == "n1") {
            out.remove(at);
        }
    }
    out
}

/// Words of Latin letters, in small ones.
fn latin(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|w| w.bytes().any(|b| b.is_ascii_alphabetic()))
        .map(str::to_ascii_lowercase)
        .collect()
}

fn denials(text: &str) -> usize {
    let mut text = text.to_owned();
    for word in BOTH.iter().chain(&NO_DENIAL) {
        text = text.replace(word, "");
    }
    text.chars().filter(|c| NEGATIONS.contains(c)).count()
}

fn opposite(a: &str, b: &str) -> bool {
    OPPOSITES.iter().any(|(x, y)| {
        let turned = |a: &str, b: &str| {
            a.contains(x)
                && b.contains(y)
                && a.matches(x).count() != b.matches(x).count()
                && a.matches(y).count() != b.matches(y).count()
        };
        turned(a, b) || turned(b, a)
    })
}

/// It asks for a reason.
fn reason(text: &str) -> bool {
    ["为什么", "为何", "为啥", "原因"].iter().any(|word| text.contains(word))
}

/// The characters that matter.
fn plain(text: &str) -> Vec<char> {
    let mut text = text.to_lowercase();
    for word in EMPTY {
        text = text.replace(word, "");
    }
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// `A` before a word of direction and `B` after it, and in the other the other way round.
fn swapped(a: &[char], b: &[char]) -> bool {
    let parts = |text: &[char]| -> Option<(String, String)> {
        let at = text
            .iter()
            .position(|c| matches!(c, '到' | '转' | '换' | '比' | '成' | '给' | '至' | '译'))?;
        let side =
            |part: &[char]| part.iter().filter(|c| !"从把将由".contains(**c)).collect::<String>();
        Some((side(text.get(..at)?), side(text.get(at + 1..)?)))
    };
    let (Some((a1, a2)), Some((b1, b2))) = (parts(a), parts(b)) else { return false };
    // The ends of the one are the beginnings of the other.
    let near = |x: &str, y: &str| {
        let x: Vec<char> = x.chars().rev().take(2).collect();
        let y: Vec<char> = y.chars().take(2).collect();
        x.len() == 2 && x.iter().rev().eq(y.iter())
    };
    a1 != b1 && near(&a1, &b2) && near(&b1, &a2)
}

/// Whether all is the same but for one piece that stands in the place of another.
fn substituted(a: &[char], b: &[char]) -> bool {
    let before = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let rest = a.len().min(b.len()) - before;
    let after = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count().min(rest);
    let (middle_a, middle_b) = (a.len() - before - after, b.len() - before - after);
    if before + after > 0
        && middle_a > 0
        && middle_b > 0
        && middle_a.max(middle_b) <= before + after + 3
    {
        // The same characters in another order are no other thing.
        let sorted = |text: &[char]| {
            let mut middle: Vec<char> =
                text.iter().skip(before).take(text.len() - before - after).copied().collect();
            shared::sort::by(&mut middle, |a, b| a < b);
            middle
        };
        return sorted(a) != sorted(b);
    }
    // Otherwise most of the shorter one must be in the longer one.
    let shared = a.iter().filter(|c| b.contains(c)).count();
    shared * 2 < a.len().min(b.len())
}
